"""AsyncAPI and the integration note: all of the contract, nothing else, accepted by others."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml
from click.testing import CliRunner
from google.protobuf import descriptor_pb2

from ampy_conformance import contract as contracts
from ampy_conformance._errors import ConformError, UsageError
from ampy_conformance._layout import cache, room
from ampy_conformance.cli import cli
from ampy_conformance.contract import asyncapi, integration, payloads, protosource, services
from ampy_conformance.contract.registry import SpecError

CONTRACT = contracts.load()
DOCUMENT = asyncapi.build(CONTRACT)
PARSER = Path(__file__).resolve().parent / "asyncapi"
# Sections 19 and 20 of the contract, in their own words: who is named, doing what.
TEXT = {
    "yfinance-go": ({"bars", "fundamentals"}, set()),
    "tiingo-go": ({"bars", "fundamentals"}, set()),
    "databento-cpp": ({"ticks"}, set()),
    "marketbeat-go": ({"news"}, set()),
    "fxrates-go": ({"fx"}, set()),
    "ampy-features": (set(), {"bars", "ticks", "news", "fundamentals"}),
    "ampy-model-server": ({"signals"}, {"bars", "ticks", "news", "fundamentals"}),
    "ampy-ensemble": ({"signals"}, {"signals"}),
    "ampy-oms": ({"orders"}, {"signals", "fills"}),
    "broker-alpaca": ({"fills"}, {"orders"}),
    "ampy-position-pnl": ({"positions"}, {"fills"}),
    "operator": ({"control"}, set()),
    "metrics-sink": (set(), {"metrics"}),
    "audit": (set(), {"orders", "fills", "positions"}),
}


def run(*arguments):
    result = CliRunner().invoke(cli, arguments, standalone_mode=False)
    if isinstance(result.exception, ConformError):
        return result.exception.exit_code, str(result.exception)
    if result.exception is not None:
        raise result.exception
    return result.return_value, result.output


# -- services ---------------------------------------------------------------------------


def test_everybody_whom_the_text_names_is_there_and_does_what_it_says():
    for name, (publishes, consumes) in TEXT.items():
        service = CONTRACT.services.services[name]
        assert {e.domain for e in service.publishes if not e.common} == publishes, name
        assert {e.domain for e in service.consumes if not e.common} == consumes, name
        assert {"19", "20"} & set(service.section), name


def test_all_services_emit_metrics_and_consumers_reprocess():
    for service in CONTRACT.services.services.values():
        if service.role:
            continue
        assert "metrics" in {each.domain for each in service.publishes}
        assert ("control" in {each.domain for each in service.consumes}) == any(
            not each.common for each in service.consumes
        )


@pytest.fixture
def spec(tmp_path):
    shutil.copytree(room("spec"), tmp_path / "spec")
    return tmp_path / "spec"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("- {domain: fills, section: ['20']}", "- {domain: fillz, section: ['20']}", "no domain"),
        ("subtopics: [raw]", "subtopics: [cooked]", "none of its subtopics (nlp, raw)"),
        ("[ampy.bars.v1.BarBatch]", "[ampy.bars.v1.Barz]", "none of its payloads"),
        (", reason: 'positions are updated after fills are published'", "", "needs a reason"),
        ("publishes: [corporate_actions, universe]", "publishes: [universe]", "no service publishes"),
        ("consumes: [corporate_actions, dlq", "consumes: [bars, corporate_actions, dlq", "yet a"),
    ],
)  # fmt: skip
def test_facts_that_are_wrong_are_found(spec, old, new, says):
    path = spec / "services.yaml"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    found = list(services.problems(contracts.load(spec)))
    assert len(found) >= 1
    assert any(says in each for each in found), found


def test_a_contract_without_services_loads_and_is_incomplete(spec):
    (spec / "services.yaml").unlink()
    contract = contracts.load(spec)
    assert "TST-04" in " ".join(services.problems(contract))
    assert asyncapi.build(contract)["operations"] == {}


@pytest.mark.parametrize(
    ("old", "new"), [("who: all", "who: some"), ("area: execution", "aria: execution")]
)
def test_a_form_that_is_wrong_is_a_sentence(spec, old, new):
    path = spec / "services.yaml"
    path.write_text(path.read_text("utf-8").replace(old, new, 1), "utf-8")
    with pytest.raises(SpecError, match=r"services\.yaml"):
        contracts.load(spec)


# -- the integration note ---------------------------------------------------------------


def test_the_note_has_a_part_for_everybody_with_topics_and_headers():
    code, page = run("spec", "integration-note")
    assert code == 0
    for name in CONTRACT.services.services:
        assert f"\n## {name}\n" in page
    part = page.partition("## ampy-oms\n")[2].partition("\n## ")[0]
    for word in (
        "`ampy.{env}.orders.v1.requests`", "`ampy.orders.v1.OrderRequest`", "`{client_order_id}`",
        "`ampy.{env}.signals.v1.>`", "`ampy.{env}.fills.v1.>`", "`ampy.{env}.metrics.v1.ampy-oms`",
        "Consumer group: `ampy-oms`",
    ):  # fmt: skip
        assert word in part
    for each in CONTRACT.headers:
        assert f"| `{each.name}` |" in page


def test_the_tables_of_the_note_are_whole():
    rows = [each for each in integration.markdown(CONTRACT).splitlines() if each.startswith("|")]
    widths = {each.count("|") for each in rows}
    assert widths == {5, 6}  # a bar of a key that was not escaped would make another column


def test_the_note_as_data_and_of_one_service():
    code, text = run("spec", "integration-note", "--json", "--service", "audit")
    note = json.loads(text)
    assert code == 0
    assert [each["name"] for each in note["services"]] == ["audit"]
    assert note["nobody"]["publishes"] == ["corporate_actions", "universe"]
    required = note["services"][0]["consumes"][0]["headers"]["required"]
    assert len(required) == 10
    assert "message_id" in required
    code, said = run("spec", "integration-note", "--service", "nobody")
    assert code == UsageError.exit_code
    assert "there is no service 'nobody'" in said


# -- AsyncAPI ---------------------------------------------------------------------------


def test_every_domain_and_every_payload_has_its_channel():
    carried = {
        each["$ref"].rpartition("/")[2]
        for channel in DOCUMENT["channels"].values()
        for each in channel["messages"].values()
    }
    wanted = {name for domain in CONTRACT.domains.values() for name in domain.payloads}
    assert carried == wanted | {"dlq"}
    tags = {channel["tags"][0]["name"] for channel in DOCUMENT["channels"].values()}
    assert tags == set(CONTRACT.domains)
    addresses = {channel["address"] for channel in DOCUMENT["channels"].values()}
    assert {  # section 5, 10 and 14.8
        "ampy.{env}.bars.v1.{mic}.{symbol}", "ampy.{env}.ticks.v1.trade.{symbol}",
        "ampy.{env}.news.v1.nlp", "ampy.{env}.orders.v1.requests",
        "ampy.{env}.control.v1.replay_requests", "ampy.{env}.dlq.v1.{domain}",
    } < addresses  # fmt: skip


def test_the_bindings_are_those_of_section_15():
    bars = DOCUMENT["channels"]["bars-v1-mic-symbol"]
    assert bars["bindings"]["kafka"]["topic"] == "ampy.{env}.bars.v1"
    assert bars["x-nats-stream"] == {"name": "AMPY", "subjects": ["ampy.*.bars.>"]}
    assert DOCUMENT["channels"]["dlq-v1-domain"]["x-nats-stream"]["name"] == "AMPY_DLQ"
    message = DOCUMENT["components"]["messages"]["ampy.fills.v1.FillEvent"]
    assert "{account_id}|{client_order_id}" in message["bindings"]["kafka"]["key"]["description"]
    operation = DOCUMENT["operations"]["ampy-oms-consumes-fills-v1-events"]
    assert operation["bindings"]["nats"]["queue"] == "ampy-oms"
    assert operation["bindings"]["kafka"]["groupId"]["const"] == "ampy-oms"


def headers_of(message):
    """Return the schema of a message's headers as draft 7, with the document to refer to."""
    return {**DOCUMENT, "$ref": f"#/components/messages/{message}/headers"}


def test_golden_headers_fit_their_message_and_no_other():
    shown = 0
    for name, message in DOCUMENT["components"]["messages"].items():
        for each in message.get("examples", ()):
            shown += 1
            jsonschema.Draft7Validator(headers_of(name)).validate(each["headers"])
            for damage in (
                {"produced_at": "never"},
                {"trace_id": "0" * 32},
                {"blob_ref": "s3://b/k"},
            ):
                with pytest.raises(jsonschema.ValidationError):
                    jsonschema.validate(
                        {**each["headers"], **damage}, headers_of(name), jsonschema.Draft7Validator
                    )
    assert shown >= len(CONTRACT.domains)
    live = DOCUMENT["components"]["messages"]["ampy.bars.v1.BarBatch"]["examples"][0]["headers"]
    for damage in ({"dlq_reason": "decode_error: x"}, {"schema_fqdn": "ampy.bars.v1.Bar"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(
                {**live, **damage}, headers_of("ampy.bars.v1.BarBatch"), jsonschema.Draft7Validator
            )


def shape(message, seen=()):
    """Return what of a message type reaches the wire: numbers, names, types, labels."""
    if message.full_name in seen:
        return message.name
    inner = (*seen, message.full_name)
    return {
        field.number: (
            field.name,
            field.type,
            field.is_repeated,
            field.containing_oneof and field.containing_oneof.name,
            field.message_type and shape(field.message_type, inner),
            field.enum_type and [(each.name, each.number) for each in field.enum_type.values],
        )
        for field in message.fields
    }


@pytest.mark.parametrize("name", sorted({e for d in CONTRACT.domains.values() for e in d.payloads}))
def test_a_payloads_text_compiles_to_the_same_type(name, tmp_path):
    protoc = pytest.importorskip("grpc_tools.protoc")
    source = tmp_path / "alone.proto"
    source.write_text(protosource.of(CONTRACT, name), "utf-8")
    include = Path(protoc.__file__).parent / "_proto"
    target = tmp_path / "alone.binpb"
    line = ["protoc", f"-I{tmp_path}", f"-I{include}", "--include_imports"]
    assert protoc.main([*line, f"--descriptor_set_out={target}", str(source)]) == 0
    from google.protobuf import descriptor_pool  # noqa: PLC0415 (a pool of its own)

    pool = descriptor_pool.DescriptorPool()
    for each in descriptor_pb2.FileDescriptorSet.FromString(target.read_bytes()).file:
        pool.Add(each)
    made = pool.FindMessageTypeByName(name)
    assert shape(made) == shape(payloads.types(CONTRACT).of(name).DESCRIPTOR)


@pytest.mark.parametrize("form", asyncapi.FORMATS)
def test_the_file_is_the_document(form, tmp_path):
    target = tmp_path / f"ampy-bus.{form}"
    code, said = run("spec", "asyncapi", "--out", str(target))
    assert code == 0
    assert "17 channels" in said
    read = yaml.safe_load if form == "yaml" else json.loads
    assert read(target.read_text("utf-8")) == json.loads(json.dumps(DOCUMENT))


def test_a_place_that_cannot_be_written_and_a_service_that_is_not_there(tmp_path):
    code, said = run("spec", "asyncapi", "--out", str(tmp_path / "no" / "such.yaml"))
    assert code == UsageError.exit_code
    assert "cannot be written" in said
    code, said = run("spec", "asyncapi", "--service", "ampy-omz")
    assert code == UsageError.exit_code


@pytest.fixture(scope="module")
def parser():
    """Return a function that asks the official parser; installed once, without its scripts."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("the official AsyncAPI parser needs node and npm")
    folder = cache("asyncapi-parser")
    folder.mkdir(parents=True, exist_ok=True)
    for each in ("package.json", "parse.mjs"):
        shutil.copyfile(PARSER / each, folder / each)
    line = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    made = subprocess.run(line, cwd=folder, check=False, capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"npm could not install the AsyncAPI parser: {made.stderr.strip()[-200:]}")

    def ask(text):
        done = subprocess.run(
            [node, "parse.mjs"], cwd=folder, input=text, check=True, capture_output=True, text=True
        )
        return json.loads(done.stdout)

    return ask


@pytest.mark.slow
@pytest.mark.parametrize("form", asyncapi.FORMATS)
def test_the_official_parser_accepts_it(parser, form):
    said = parser(asyncapi.text(DOCUMENT, form))
    assert said["problems"] == []
    assert said["version"] == asyncapi.VERSION
    assert set(said["channels"]) == {each["address"] for each in DOCUMENT["channels"].values()}
    assert said["operations"] == len(DOCUMENT["operations"])
    fields = [e.name for e in payloads.types(CONTRACT).of("ampy.bars.v1.Bar").DESCRIPTOR.fields]
    assert sorted(said["bar"]) == sorted(fields)  # it read the .proto text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("repeated Bar bars = 1;", "repeated Nothing bars = 1;"),
        ("$ref: '#/channels/bars-v1-mic-symbol'", "$ref: '#/channels/bars'"),
        ("action: send", "action: shout"),
    ],
)
def test_the_official_parser_refuses_what_is_wrong(parser, old, new):
    text = asyncapi.text(DOCUMENT, "yaml")
    assert old in text
    assert parser(text.replace(old, new, 1))["problems"] != []


@pytest.mark.slow
def test_the_operations_of_one_service_are_accepted(parser):
    document = asyncapi.build(CONTRACT, "ampy-oms")
    said = parser(asyncapi.text(document, "yaml"))
    assert said["problems"] == []
    assert said["operations"] == 6  # orders, metrics, dlq; signals, fills, control
