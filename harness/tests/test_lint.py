"""The linter: for each rule an envelope that breaks it, and its nearest neighbours that do not.

`faulty/` has one envelope for each fault (see `test_golden.py`); here are the boundaries.
"""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json

import pytest

from ampy_conformance import contract as contracts
from ampy_conformance._layout import room
from ampy_conformance.contract import payloads, samples
from ampy_conformance.contract.envelope import Envelope, loads
from ampy_conformance.contract.headercheck import KNOWN
from ampy_conformance.contract.lint import LONG, Linter

CONTRACT = contracts.load()
SAMPLES = samples.Samples(CONTRACT, seed=9)
TRACE = "4b5b3f2a0f9d4e3db4c8a1f0e3a7c812"
KIB = 1024


def valid(domain="bars", **options):
    """Return a fresh valid envelope; `env` and `size` go to the sample, the rest are headers."""
    chosen = {name: options.pop(name) for name in ("env", "size", "fields") if name in options}
    compress = options.pop("compress", None)
    return SAMPLES.envelope(
        SAMPLES.record(domain, entity=0, **chosen), compress=compress, **options
    )


def judged(envelope, *, strict=True):
    """Return the findings in short: `CLAUSE severity`."""
    return [
        f"{each.clause} {each.severity}" for each in Linter(CONTRACT, strict=strict).check(envelope)
    ]


def without_payload(envelope, **headers):
    return dataclasses.replace(envelope, payload=None, headers={**envelope.headers, **headers})


@pytest.mark.parametrize("domain", [name for name, d in CONTRACT.domains.items() if d.payloads])
def test_a_valid_record_has_no_findings(domain):
    """The positive control of everything below."""
    assert judged(valid(domain)) == []
    assert judged(valid(domain, compress=True)) == []
    assert judged(without_payload(valid(domain))) == []


# -- what is remembered -----------------------------------------------------------------


@pytest.mark.parametrize("strict", [True, False])
def test_what_was_right_before_excuses_nothing(strict):
    """A linter that has seen much judges as a fresh one does."""
    files = sorted(room("golden").rglob("*.json")) + sorted(
        (room("golden").parent / "faulty").rglob("*.json")
    )
    envelopes = [loads(each.read_bytes()) for each in files]
    fresh = [Linter(CONTRACT, strict=strict).check(each) for each in envelopes]
    used = Linter(CONTRACT, strict=strict)
    for _ in range(3):
        assert [used.check(each) for each in envelopes] == fresh
    assert sum(map(bool, fresh)) > 40


def test_more_ids_than_are_remembered_are_judged_all_the_same():
    used = Linter(CONTRACT)
    for _ in range(KNOWN + 100):
        assert not used.check(valid())
    wrong = valid(message_id="018f5e2f-9b1c-46aa-8f7a-3b1d8f3ea0cX")
    assert used.check(wrong) == Linter(CONTRACT).check(wrong) != []
    assert not used.check(valid())
    assert not used._headers._rules["message_id"].right  # ids do not come again
    assert used._headers._rules["producer"].right


def test_what_is_long_is_judged_and_not_remembered():
    """Whoever sends long texts must not fill the memory of those that judge them."""
    used, symbol = Linter(CONTRACT), "L" * LONG
    short = valid("bars")
    batch = payloads.types(CONTRACT).of("ampy.bars.v1.BarBatch").FromString(short.payload)
    for each in batch.bars:
        each.security.symbol, each.security.mic = symbol, "XNAS"
    headers = {**short.headers, "partition_key": f"XNAS.{symbol}"}
    one = Envelope(f"ampy.dev.bars.v1.XNAS.{symbol}", headers, batch.SerializeToString())
    for _ in range(2):
        assert used.check(one) == []
    assert not used._entities
    assert used.check(short) == []
    assert len(used._entities) == 1


def test_a_known_entity_does_not_excuse_another_under_its_key():
    one, other = valid("bars"), SAMPLES.envelope(SAMPLES.record("bars", entity=1))
    used = Linter(CONTRACT)
    assert not used.check(one)
    assert not used.check(one)
    swapped = dataclasses.replace(one, payload=other.payload)
    assert [each.clause for each in used.check(swapped)] == ["TOP-20", "KEY-bars"]


def test_a_known_entity_does_not_excuse_another_type_on_its_topic():
    trade = valid("ticks")
    assert trade.headers["schema_fqdn"].endswith("TradeTick")
    used = Linter(CONTRACT)
    assert not used.check(trade)
    types = payloads.types(CONTRACT)
    quote = types.of("ampy.ticks.v1.QuoteTick")()
    quote.security.CopyFrom(types.decode("ampy.ticks.v1.TradeTick", trade.payload).security)
    headers = {**trade.headers, "schema_fqdn": "ampy.ticks.v1.QuoteTick"}
    wrong = dataclasses.replace(trade, headers=headers, payload=quote.SerializeToString())
    assert [each.clause for each in used.check(wrong)] == ["TOP-07"]


def test_a_known_entity_does_not_excuse_a_batch_that_begins_with_it():
    one, other = valid("bars"), SAMPLES.envelope(SAMPLES.record("bars", entity=1))
    used = Linter(CONTRACT)
    assert not used.check(one)
    kind = payloads.types(CONTRACT).of("ampy.bars.v1.BarBatch")
    both = kind.FromString(one.payload + other.payload)
    assert len(both.bars) > 1
    wrong = dataclasses.replace(one, payload=both.SerializeToString())
    for _ in range(2):
        assert [each.clause for each in used.check(wrong)] == ["KEY-bars"]


# -- headers ----------------------------------------------------------------------------

GOOD = {
    "message_id": ["018F5E2F-9B1C-76AA-8F7A-3B1D8F3EA0C2"],
    "schema_version": ["1.0.0-rc.1+build.5", "1.10.20"],
    "produced_at": [
        "2025-09-05T19:31:01Z",
        "2025-09-05T19:31:01.123456789Z",
        "2016-12-31T23:59:60Z",
        "2024-02-29T10:00:00Z",
    ],
    "producer": ["a@b", "yfinance-go@10.0.0.1:4222"],
    "span_id": ["00f067aa0ba902b7"],
    "traceparent": [f"00-{TRACE}-00f067aa0ba902b7-03"],  # any flags
    "retry_count": ["0", "7"],
    "schema_hash": [f"sha256:{'0' * 64}", f"nameonly:sha256:{'a' * 64}"],
    "x_of_tomorrow": ["anything"],  # HDR-25
}
BAD = {
    "message_id": (
        "HDR-01",
        [
            None,
            "",
            "018f5e2f-9b1c-46aa-8f7a-3b1d8f3ea0c2",
            "018f5e2f-9b1c-76aa-cf7a-3b1d8f3ea0c2",
            "{018f5e2f-9b1c-76aa-8f7a-3b1d8f3ea0c2}",
            "018f5e2f-9b1c-76aa-8f7a-3b1d8f3ea0c2\n",
        ],
    ),
    "schema_fqdn": ("HDR-05", [None, "", "ampy.bars.v1.Candle", ".ampy.bars.v1.Bar"]),
    "schema_version": (
        "HDR-06",
        [None, "", "1.0", "v1.0.0", "01.0.0", "1.0.0 ", "1.0.0-..", "1.0.0+"],
    ),
    "content_type": ("HDR-08", [None, "", "APPLICATION/X-PROTOBUF", "text/plain"]),
    "content_encoding": ("HDR-09", ["br", "GZIP", "gzip, gzip"]),
    "produced_at": (
        "HDR-10",
        [
            None,
            "",
            "2025-09-05 19:31:01Z",
            "2025-09-05T19:31:01",
            "2025-09-05T19:31:01+00:00",
            "2025-09-05T19:31:01+02:00",
            "2025-13-05T19:31:01Z",
            "2025-02-30T10:00:00Z",
            "2025-04-31T10:00:00Z",
            "2025-09-05T19:31:01.1234567890Z",
        ],
    ),
    "producer": ("HDR-12", [None, "", "service", "@instance", "service@", "a b@c"]),
    "source": ("HDR-13", [None, "", " ", "a\x00b"]),
    "run_id": ("HDR-14", [None, "", " ", "a\nb"]),
    "trace_id": ("HDR-15", [None, "", "0" * 32, TRACE.upper(), TRACE[:16]]),
    "span_id": ("HDR-16", ["", "0" * 16, "00F067AA0BA902B7", "00f0"]),
    "traceparent": ("HDR-16", ["", TRACE, f"01-{TRACE}-00f067aa0ba902b7-01"]),
    "partition_key": ("HDR-17", [None, "", "  "]),
    "retry_count": ("HDR-19", ["", "-1", "01", "1.0", "one"]),
    "dlq_reason": ("HDR-20", ["handler_error: gave up", ""]),
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, every in GOOD.items() for v in every])
def test_a_header_may_be(name, value):
    assert judged(valid(**{"trace_id": TRACE, name: value})) == []


@pytest.mark.parametrize(
    ("name", "clause", "value"), [(n, c, v) for n, (c, every) in BAD.items() for v in every]
)
def test_a_header_must_not_be(name, clause, value):
    assert judged(valid(**{name: value})) == [f"{clause} fail"]


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({"content_encoding": ""}, "HDR-09 warn"),
        ({"content_encoding": "identity"}, "HDR-09 warn"),
        ({"run_id": "run_local"}, "HDR-14 warn"),
        ({"schema_version": "2.0.0"}, "HDR-07 warn"),
        ({"schema_hash": "md5:1"}, "HDR-21 info"),
        ({"partition_key": "AAPL.XNAS"}, "KEY-bars warn"),
    ],
)
def test_what_is_only_warned_about(headers, wanted):
    assert judged(valid(**headers)) == [wanted]


def test_an_offset_of_zero_is_a_warning_for_the_lenient():
    for value, wanted in (("+00:00", ["HDR-10 warn"]), ("+01:00", ["HDR-10 fail"])):
        envelope = valid(produced_at=f"2025-09-05T19:31:01{value}")
        assert judged(envelope, strict=False) == wanted
        assert judged(envelope) == ["HDR-10 fail"]


@pytest.mark.parametrize("name", ["Run-Id", "RunId", "RUN_ID", "run-id"])
def test_a_known_name_in_another_spelling(name):
    """HDR-23, once: the header is not missing as well."""
    assert judged(valid(**{"run_id": None, name: "run_1"})) == ["HDR-23 fail"]


def test_no_header_carries_control_characters():
    assert judged(valid(x_of_ours="a\r\nb")) == ["HDR-23 fail"]
    assert judged(valid(x_of_ours="a\tb")) == []


def test_a_traceparent_belongs_to_its_trace():
    other = f"00-{'1' * 32}-00f067aa0ba902b7-01"
    assert judged(valid(trace_id=TRACE, traceparent=other)) == ["HDR-16 fail"]


def test_json_is_for_diagnosis():
    """SER-03: a warning in dev, a failure elsewhere (A-46)."""
    for env, grade in (("dev", "warn"), ("paper", "fail"), ("prod", "fail")):
        assert judged(valid(env=env, content_type="application/json")) == [f"SER-03 {grade}"]


# -- topic and schema -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("topic", "wanted"),
    [
        ("ampy.dev.bars.v1.XNAS.AAPL", []),
        ("ampy.dev.bars.v1.XNYS.AAPL", ["TOP-20 warn"]),
        ("ampy.dev.bars.v2.XNAS.AAPL", ["TOP-04 fail", "HDR-07 warn"]),
        ("ampy.dev.bars.v1", ["TOP-05 fail"]),
        ("ampy.dev.fx.v1.rates", ["TOP-19 fail"]),
        ("ampy.dev.bars.v1.>", ["TOP-17 warn"]),
        ("ampy.test.bars.v1.XNAS.AAPL", ["TOP-02 fail"]),
        ("ampy.dev.bar.v1.XNAS.AAPL", ["TOP-03 fail"]),
        ("", ["TOP-01 fail"]),
    ],
)
def test_topics(topic, wanted):
    assert judged(dataclasses.replace(valid(), topic=topic)) == wanted


def test_dlq_and_control_have_a_major_of_their_own():
    """A-07: v1, whatever the payload's."""
    envelope = valid("control")
    assert judged(envelope) == []
    moved = dataclasses.replace(envelope, topic=envelope.topic.replace(".v1.", ".v2."))
    assert judged(moved)[0] == "TOP-04 fail"


@pytest.mark.parametrize(
    ("domain", "alias"),
    [("fills", "ampy.fills.v1.Fill"), ("positions", "ampy.positions.v1.Position")],
)
def test_old_names_of_types_are_decoded_with_the_real_type(domain, alias):
    """A-15: one warning, and the key is judged all the same."""
    assert judged(valid(domain, schema_fqdn=alias)) == ["HDR-05 warn"]
    wrong = valid(domain, schema_fqdn=alias, partition_key="other|key")
    assert judged(wrong) == ["HDR-05 warn", f"KEY-{domain} warn"]


def test_a_type_of_our_own():
    assert judged(valid(schema_fqdn="house.v1.Candle")) == ["SER-02 fail"]


# -- payload ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "wanted"), [(128 * KIB - 1, []), (128 * KIB, []), (128 * KIB + 1, ["SER-04 fail"])]
)
def test_more_than_128_kib_is_compressed(size, wanted):
    """A-33: at the limit either is right."""
    assert judged(valid("news", size=size, compress=False)) == wanted
    assert judged(valid("news", size=size, compress=True)) == []


def test_a_record_is_below_one_mebibyte_with_its_headers():
    """SER-07, A-34: on the wire, headers counted."""
    envelope = valid("news")
    room = KIB * KIB - sum(len(name) + len(v) + 4 for name, v in envelope.headers.items())
    stored = dataclasses.replace(envelope, headers={**envelope.headers, "content_encoding": "gzip"})
    over = len("content_encoding") + len("gzip") + 4
    for size, wanted in ((room - over, True), (room - over - 1, False)):
        found = judged(dataclasses.replace(stored, payload=bytes(size)))
        assert ("SER-07 warn" in found) == wanted


def test_header_and_bytes_agree_on_gzip():
    plain, packed = valid(compress=False), valid(compress=True)
    assert judged(packed) == []
    unmarked = {name: v for name, v in packed.headers.items() if name != "content_encoding"}
    marked = {**plain.headers, "content_encoding": "gzip"}
    assert judged(dataclasses.replace(packed, headers=unmarked)) == ["SER-05 fail"]
    assert judged(dataclasses.replace(plain, headers=marked)) == ["SER-05 fail"]
    assert judged(dataclasses.replace(packed, payload=packed.payload[:-4])) == ["SER-05 fail"]
    assert judged(dataclasses.replace(packed, payload=packed.payload + b"!")) == ["SER-05 fail"]
    twice = gzip.compress(gzip.decompress(packed.payload)[:10]) + gzip.compress(
        gzip.decompress(packed.payload)[10:]
    )
    assert judged(dataclasses.replace(packed, payload=twice)) == [], "several members are gzip"


def test_bytes_that_are_no_such_message():
    envelope = valid()
    assert judged(dataclasses.replace(envelope, payload=envelope.payload[:-3])) == ["SER-01 fail"]


def test_a_payload_without_what_its_key_is_made_of():
    assert judged(dataclasses.replace(valid(), payload=b"")) == []  # a batch of none
    assert judged(dataclasses.replace(valid("fx"), payload=b"")) == ["KEY-fx warn"]
    assert judged(dataclasses.replace(valid("ticks"), payload=b"")) == ["SER-11 fail"]


def test_pointers():
    """Section 9: the three headers together, no payload, key and subtopic by their form."""
    pointer = {
        "blob_ref": "s3://bucket/key?versionId=3",
        "blob_hash": f"sha256:{'b' * 64}",
        "blob_size": "1843200",
    }
    envelope = dataclasses.replace(valid(**pointer), payload=b"")
    assert judged(envelope) == []
    assert judged(valid(**pointer)) == ["BLB-01 warn"]
    edits = (
        ({"blob_hash": None}, "BLB-02 fail"),
        ({"blob_size": None}, "BLB-02 fail"),
        ({"blob_hash": "sha256:7a9cb7..."}, "BLB-02 fail"),
        ({"blob_size": "12 MB"}, "HDR-22 fail"),
        ({"blob_ref": None}, "HDR-22 fail"),
        ({"partition_key": "XNAS AAPL"}, "KEY-bars warn"),
    )
    for edit, wanted in edits:
        assert judged(dataclasses.replace(valid(**{**pointer, **edit}), payload=b"")) == [wanted]


# -- keys against payloads --------------------------------------------------------------


@pytest.mark.parametrize(
    ("domain", "key", "wanted"),
    [
        ("ticks", "MSFT.XNAS", []),
        ("ticks", "XNAS.MSFT", ["KEY-ticks warn"]),
        ("signals", "hyper@2025-09-05|NVDA.XNAS|5d", []),
        ("signals", "hyper@2025-09-05|NVDA.XNAS", ["KEY-signals warn"]),
        ("corporate_actions", "anything at all", []),
        ("control", "anything at all", []),
    ],
)
def test_settled_keys(domain, key, wanted):
    parts = {"ticks": {"security": {"symbol": "MSFT", "mic": "XNAS"}}}
    parts["signals"] = {
        "model_id": "hyper@2025-09-05",
        "security": {"symbol": "NVDA", "mic": "XNAS"},
        "horizon": "5d",
    }
    envelope = valid(domain, fields=parts.get(domain), partition_key=key)
    topics = {
        "ticks": "ampy.dev.ticks.v1.trade.MSFT",
        "signals": "ampy.dev.signals.v1.hyper@2025-09-05",
    }
    assert judged(dataclasses.replace(envelope, topic=topics.get(domain, envelope.topic))) == wanted


def test_a_batch_has_one_entity():
    """A-31: a batch of two securities fails, whichever of them the key names."""
    one, two = (SAMPLES.record("bars", entity=number) for number in (0, 1))
    both = SAMPLES.envelope(dataclasses.replace(one, payload=one.payload + two.payload))
    assert "KEY-bars fail" in judged(both)
    twice = SAMPLES.envelope(dataclasses.replace(one, payload=one.payload + one.payload))
    assert judged(twice) == []


def test_dedupe_keys():
    """HDR-18: orders may have a later instruction behind the id (A-19), news may not."""
    order, item = valid("orders"), valid("news")
    key = order.headers["partition_key"]
    assert judged(valid("orders", dedupe_key=f"{key}|cancel")) == []
    assert judged(valid("orders", dedupe_key="another")) == ["HDR-18 warn"]
    assert judged(valid("orders", dedupe_key=None)) == ["HDR-18 warn"]
    later = {**item.headers, "dedupe_key": f"{item.headers['dedupe_key']}|2"}
    assert judged(dataclasses.replace(item, headers=later)) == ["HDR-18 warn"]


# -- without a payload ------------------------------------------------------------------


def test_forms_are_judged_without_a_payload():
    bar = valid()
    assert judged(without_payload(bar, partition_key="AAPL")) == ["KEY-bars warn"]
    assert judged(without_payload(bar, partition_key="XNAS.MSFT")) == ["TOP-20 warn"]
    tick = without_payload(valid("ticks"))
    other = dataclasses.replace(tick, topic="ampy.dev.ticks.v1.prints.MSFT")
    assert judged(other) == ["TOP-07 warn"]
    request = without_payload(valid("control"))
    other = dataclasses.replace(request, topic="ampy.dev.control.v1.replays")
    assert judged(other) == ["TOP-15 fail"]


def test_payload_json_counts_where_it_is_the_json_form():
    pair = {"pair": {"base": "USD", "quote": "JPY"}}
    bare = valid("fx", partition_key="USD.JPY")
    bare = dataclasses.replace(bare, topic="ampy.dev.fx.v1.rates")

    def of(view, **headers):
        kept = {**bare.headers, **headers}
        return judged(Envelope(bare.topic, kept, None, view))

    assert of(pair) == []
    assert of({"_message": "ampy.fx.v1.FxRate", **pair}) == []
    assert of(pair, partition_key="EUR.USD") == ["KEY-fx warn"]
    # ampy-bus' examples are illustrations: of the bytes they prove nothing.
    assert of({"symbol": "USDJPY", "bid": 1.5}) == ["SER-01 info"]


# -- dead letters -----------------------------------------------------------------------


def grave(reason="handler_error: gave up", original=None, **headers):
    return samples.dead_letter(CONTRACT, original or valid(), reason, **headers)


def test_dead_letters():
    assert judged(grave()) == []
    assert judged(grave(dlq_reason=None)) == ["HDR-20 fail"]
    assert judged(grave(reason="it broke")) == ["DLQ-06 fail"]
    assert judged(grave(payload_hash=None)) == ["DLQ-12 warn"]
    assert judged(grave(payload_hash=f"sha256:{'0' * 64}")) == ["DLQ-12 warn"]
    assert judged(grave(original_topic=None)) == ["DLQ-13 warn"]
    assert judged(grave(run_id=None)) == ["HDR-14 fail"]


def test_topics_of_dead_letters():
    """A-05: further tokens behind the domain are tolerated, the whole topic is not."""
    letter = grave()
    for tail, wanted in (
        ("bars.XNAS.AAPL", []),
        ("ampy.dev.bars.v1.XNAS.AAPL", ["TOP-16 fail"]),
    ):
        assert judged(dataclasses.replace(letter, topic=f"ampy.dev.dlq.v1.{tail}")) == wanted
    short = {name: v for name, v in letter.headers.items() if name != "original_topic"}
    whole = dataclasses.replace(letter, headers=short, topic="ampy.dev.dlq.v1.bars.XNAS.AAPL")
    assert judged(whole) == [], "the topic tells it"


def test_a_dead_letter_of_a_violation_shows_the_violation():
    """A-61: what was wrong with the record is why it is here."""
    broken = valid(run_id=None, message_id="1")
    assert judged(grave("contract_violation: HDR-14", broken)) == []
    assert judged(grave("handler_error: boom", broken)) == ["HDR-14 fail", "HDR-01 fail"]


def test_the_payload_of_a_dead_letter_need_not_parse():
    broken = dataclasses.replace(valid(), payload=b"\xff\xff")
    assert judged(grave("decode_error: truncated", broken)) == []


# -- what a finding shows ---------------------------------------------------------------


def test_findings_are_bounded_and_printable():
    linter = Linter(CONTRACT)
    hostile = "\x1b[2J\ud800" + "x" * 9000
    found = linter.check(valid(run_id=hostile, trace_id=hostile, partition_key=hostile))
    found += linter.check(dataclasses.replace(valid(), topic=f"ampy.dev.bars.v1.{hostile}"))
    found += linter.check(valid(**{hostile: "\x00"}))
    assert len(found) >= 4
    for each in found:
        text = json.dumps(each.row(), ensure_ascii=False)
        assert text.isprintable(), each.clause
        assert len(text) < 1200, each.clause


def test_no_finding_quotes_a_payload():
    body = b"Customer: J. Doe, 555-1234"
    for change in ({}, {"content_encoding": "gzip"}, {"schema_fqdn": "ampy.news.v1.NewsItem"}):
        envelope = dataclasses.replace(valid(**change), payload=body)
        rows = [each.row() for each in Linter(CONTRACT).check(envelope)]
        assert rows
        assert "Doe" not in json.dumps(rows)
    secret = hashlib.sha256(body).hexdigest()
    view = {"pair": {"base": secret, "unknown": secret}}
    bare = valid("fx")
    rows = [
        each.row()
        for each in Linter(CONTRACT).check(Envelope(bare.topic, bare.headers, None, view))
    ]
    assert secret not in json.dumps(rows)


@pytest.mark.parametrize(
    ("seconds", "nanos", "wanted"),
    [
        (-62_135_596_800, 0, []),
        (253_402_300_799, 999_999_999, []),
        (253_402_300_800, 0, ["SER-10 fail"]),
        (-62_135_596_801, 0, ["SER-10 fail"]),
        (1_757_100_601, 1_000_000_000, ["SER-10 fail"]),
        (1_757_100_601, -1, ["SER-10 fail"]),
        (1_757_100_601_000, 0, ["SER-10 fail"]),  # milliseconds
    ],
)
def test_times_lie_between_the_years_1_and_9999(seconds, nanos, wanted):
    sample = SAMPLES.record("bars", entity=0)
    message = payloads.types(CONTRACT).decode(sample.schema_fqdn, sample.payload)
    message.bars[0].ingest_time.seconds, message.bars[0].ingest_time.nanos = seconds, nanos
    assert judged(dataclasses.replace(valid(), payload=message.SerializeToString())) == wanted


def test_a_consumer_lets_pass_what_only_producers_owe():
    sample = SAMPLES.record("bars", entity=0)
    message = payloads.types(CONTRACT).decode(sample.schema_fqdn, sample.payload)
    message.bars[0].ingest_time.seconds = 10**15
    envelope = dataclasses.replace(valid(), payload=message.SerializeToString())
    assert judged(envelope, strict=False) == []


def test_a_key_that_is_made_of_a_time_that_is_none_is_a_finding_and_no_crash():
    sample = SAMPLES.record("fundamentals", entity=0)
    message = payloads.types(CONTRACT).decode(sample.schema_fqdn, sample.payload)
    for each in message.lines:
        each.period_end.seconds = 10**15
    envelope = SAMPLES.envelope(sample)
    broken = dataclasses.replace(envelope, payload=message.SerializeToString())
    assert judged(broken) == ["SER-10 fail"]  # one cause, one finding
    assert judged(broken, strict=False) == ["KEY-fundamentals warn"]


def test_what_says_that_it_is_not_encoded_is_not_compressed():
    large = valid(size=200 * KIB, compress=False)
    assert judged(large) == ["SER-04 fail"]
    said = dataclasses.replace(large, headers={**large.headers, "content_encoding": "identity"})
    assert sorted(judged(said)) == ["HDR-09 warn", "SER-04 fail"]


def test_a_part_of_a_key_that_holds_the_delimiter():
    sample = SAMPLES.record("fills", entity=0)
    message = payloads.types(CONTRACT).decode(sample.schema_fqdn, sample.payload)
    message.account_id = "A|B"
    one = SAMPLES.envelope(sample)
    key = one.headers["partition_key"].split("|")
    headers = {**one.headers, "partition_key": "|".join(["A|B", *key[1:]])}
    found = judged(dataclasses.replace(one, payload=message.SerializeToString(), headers=headers))
    assert [each.partition(" ")[0] for each in found] == ["KEY-fills"]


def test_a_dead_letter_of_a_violation_keeps_the_names_that_were_wrong():
    sample = SAMPLES.record("bars", entity=0)
    letter = samples.dead_letter(CONTRACT, SAMPLES.envelope(sample), "contract_violation: HDR-01")
    headers = dict(letter.headers)
    headers["Message-Id"] = headers.pop("message_id")
    wrong = dataclasses.replace(letter, headers=headers)
    assert [each for each in judged(wrong) if "fail" in each] == []
    failed = dataclasses.replace(
        wrong, headers={**headers, "dlq_reason": "handler_error: 3 attempts exhausted"}
    )
    assert "HDR-23 fail" in judged(failed)
