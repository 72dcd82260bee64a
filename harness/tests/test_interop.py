"""Interop: pairs that get along are not accused, and each aspect names whoever breaks it."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ampy_conformance import contract as contracts
from ampy_conformance._errors import ConformError
from ampy_conformance.broker.facts import BrokerError
from ampy_conformance.cli import cli
from ampy_conformance.suite import interop
from ampy_conformance.suite.session import Options, Session

MUTANT = "py:ampy_conformance.mutants.{}:Driver"
ASPECTS = {each.name: each for each in interop.ASPECTS}


@pytest.fixture(scope="module")
def session():
    session = Session(contracts.load(), Options(driver="mem", seed=5, time_scale=0.5))
    yield session
    session.close()


@pytest.fixture(scope="module")
def on_kafka():
    pytest.importorskip("confluent_kafka", reason="needs the extra `kafka`")
    try:
        session = Session(contracts.load(), Options(driver="kafka", seed=5, time_scale=0.5))
    except BrokerError as error:
        pytest.skip(str(error))
    yield session
    session.close()


@pytest.fixture
def ask(session):
    yield from asking(session)


@pytest.fixture
def ask_kafka(on_kafka):
    yield from asking(on_kafka)


def asking(session):
    members = []

    def run(producer, consumer, aspect):
        session.lost_controls = 0
        pair = [interop.Member(each, session) for each in (producer, consumer)]
        members.extend(pair)
        return interop.ask(session, *pair, ASPECTS[aspect])

    yield run
    for each in members:
        each.close()


def run(*arguments):
    result = CliRunner().invoke(cli, ["interop", *arguments], standalone_mode=False)
    if isinstance(result.exception, ConformError):
        return result.exception.exit_code, str(result.exception)
    assert result.exception is None, result.exception
    return result.return_value, result.output


@pytest.mark.parametrize("aspect", ASPECTS)
def test_the_reference_gets_along_with_itself(ask, aspect):
    found = ask("mem", "mem", aspect)
    assert (found.outcome, found.says) == ("pass", "")
    assert set(found.clauses) == set(ASPECTS[aspect].clauses)


@pytest.mark.parametrize(
    ("mutant", "aspect", "clause", "says"),
    [
        # The record breaks the contract on the wire: the producer's fault, by its clause.
        ("hdr_01_random_uuid", "delivered", "HDR-01", "the producer's record breaks the contract"),
        ("hdr_10_local_time", "order", "HDR-10", "the producer's record breaks the contract"),
        ("hdr_15_zero_trace", "trace", "HDR-15", "the producer's record breaks the contract"),
        ("ser_04_never_compresses", "gzip", "SER-04", "went out uncompressed"),
        ("key_det_key_with_a_counter", "keys", "KEY-det", "one entity has two keys"),
        ("hdr_13_no_source", "keys", "HDR-24", "other required headers"),
    ],
)
def test_a_wrong_producer_is_named(ask, mutant, aspect, clause, says):
    found = ask(MUTANT.format(mutant), "mem", aspect)
    assert (found.outcome, found.blames) == ("fail", clause), found
    assert says in found.says


@pytest.mark.parametrize(
    ("mutant", "aspect", "clause", "says"),
    [
        ("dlq_01_drops_what_fails", "dead letter", "DLQ-01", "no dead letter"),
        ("dlq_05_signs_as_the_router", "dead letter", "DLQ-05", "headers are missing or changed"),
        ("dlq_07_changes_the_payload", "dead letter", "DLQ-07", "the payload was changed"),
        ("dlq_08_always_prod", "dead letter", "DLQ-08", "crossed into another env"),
        ("ser_12_hands_over_gzip", "gzip", "SER-12", "did not get the decompressed payload"),
        ("idm_01_no_dedupe", "once", "IDM-01", "handled again"),
        ("ord_01_newest_first", "order", "ORD-01", "out of publish order"),
    ],
)
def test_a_wrong_consumer_is_named(ask, mutant, aspect, clause, says):
    found = ask("mem", MUTANT.format(mutant), aspect)
    assert (found.outcome, found.blames) == ("fail", clause), found
    assert says in found.says


def test_a_valid_record_that_is_not_handled_is_held_against_the_consumer(ask):
    found = ask("mem", "py:ampy_conformance.mutants.peers:AckEverything", "order")
    assert (found.outcome, found.blames) == ("fail", "QOS-01"), found
    assert "a valid record of bars was not handled" in found.says


def test_a_producer_that_stores_nothing_is_named(ask):
    found = ask("py:ampy_conformance.mutants.peers:AckEverything", "mem", "order")
    assert (found.outcome, found.blames) == ("fail", "QOS-01"), found
    assert "is not on the wire" in found.says


# -- whose fault it is on Kafka, where two names of a topic are legal (A-51) -----------------


def named(*kinds):
    words = (sys.executable, str(Path(__file__).with_name("kafka_names.py")), *kinds)
    return f"exec:{shlex.join(words)}"


def test_a_consumer_that_looks_under_the_other_legal_name_is_not_accused(ask_kafka):
    found = ask_kafka("kafka", named("long"), "order")
    assert (found.outcome, found.blames) == ("inconclusive", None), found
    assert "with the short name, the consumer's own in that with the long one" in found.says


def test_one_that_reads_both_names_gets_along_with_either(ask_kafka):
    found = ask_kafka(named("long"), "kafka", "order")
    assert (found.outcome, found.says) == ("pass", ""), found


@pytest.mark.parametrize(
    ("producer", "consumer"),
    [("kafka", ("deaf",)), (named("long"), ("long", "deaf"))],
    ids=["short", "long"],
)
def test_a_consumer_that_has_the_record_at_hand_is_named(ask_kafka, producer, consumer):
    found = ask_kafka(producer, named(*consumer), "order")
    assert (found.outcome, found.blames) == ("fail", "QOS-01"), found
    assert "a valid record of bars was not handled" in found.says


def test_one_that_does_not_handle_its_own_records_is_named(ask_kafka):
    found = ask_kafka(named("deaf"), named("deaf"), "order")
    assert (found.outcome, found.blames) == ("fail", "QOS-01"), found


def test_a_producer_with_a_name_of_its_own_for_the_topic_is_named(ask_kafka):
    found = ask_kafka(MUTANT.format("bnd_05_kafka_one_topic_for_all"), "kafka", "order")
    # BND-05 is a SHOULD: the producer is warned, and nothing is proved against the consumer.
    assert (found.clauses, found.blames) == ({"ORD-01": "inconclusive", "BND-05": "warn"}, "BND-05")
    assert found.seen == "ampy.dev.metrics.v1"


# -- the verb ------------------------------------------------------------------------------


def test_the_matrix_as_data_as_a_page_and_its_exit_code(tmp_path):
    code, output = run("mem", MUTANT.format("dlq_08_always_prod"), "--json", "--time-scale", "0.5")
    assert code == 1
    kept = tmp_path / "answers.json"
    kept.write_text(output, "utf-8")
    answers = json.loads(output)["answers"]["memory"]
    assert len(answers) == 4 * len(ASPECTS)
    wrong = {
        (each["producer"], each["consumer"], each["blames"]) for each in answers if each["blames"]
    }
    bad = MUTANT.format("dlq_08_always_prod")
    assert wrong == {("mem", bad, "DLQ-08"), (bad, bad, "DLQ-08")}
    code, page = run("--from", str(kept))
    assert code == 0
    rows = [each for each in page.splitlines() if each.startswith(("| mem |", f"| {bad} |"))]
    assert [each.count("**FAIL** DLQ-08") for each in rows] == [0, 1, 0, 1]
    assert [each.count(" ok ") for each in rows] == [8, 7, 8, 7]
    assert f"  - mem -> {bad}, dead letter" in page
    assert "| DLQ-08 | MUST |" in page


def test_a_page_of_something_else_is_refused(tmp_path):
    other = tmp_path / "other.json"
    other.write_text("[]", "utf-8")
    for path, says in ((other, "holds no answers"), (tmp_path / "none", "cannot be read")):
        code, output = run("--from", str(path))
        assert code == 2
        assert says in output
    code, output = run("mem", "--from", str(other))
    assert code == 2
    assert "--from runs nothing" in output


def test_the_table_and_wrong_usage():
    code, output = run("mem")
    assert code == 0
    assert output.count("ok") >= len(ASPECTS)
    code, output = run("mem", "no-such-driver")
    assert code == 2
    assert "there is no driver 'no-such-driver'" in output
    code, output = run("mem", "nats")
    assert code == 2
    assert "shares its broker with none" in output
