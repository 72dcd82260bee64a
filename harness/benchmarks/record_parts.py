"""Where each microsecond of a record goes: the parts of the bindings' core, each alone, without a broker.

Warm, one part after the other, best of seven passes over 5,000 records (what is kept in SQLite: one); in a run they are dearer, because caches are shared
with the client's threads and garbage is collected between them. CPU time of this thread.

    python harness/benchmarks/record_parts.py
"""

from __future__ import annotations

import tempfile
import time
from typing import TYPE_CHECKING, Any

from binding_rate import records_of

from ampy_conformance import contract as contracts
from ampy_conformance.bindings.admission import Admission
from ampy_conformance.bindings.builder import EnvelopeBuilder, Identity
from ampy_conformance.bindings.kafka_records import headers_of
from ampy_conformance.bindings.meter import Meter
from ampy_conformance.bindings.records import Record, fold
from ampy_conformance.bindings.state import States, claims_of
from ampy_conformance.bindings.store import Store
from ampy_conformance.contract import keys, payloads, topics
from ampy_conformance.contract.headercheck import HeaderCheck

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SIZE, RECORDS, PASSES, BATCH = 300, 5000, 7, 64


def main() -> None:
    contract = contracts.load()
    builder = EnvelopeBuilder(contract, Identity("bench@1", "bench", "r"))
    logical = records_of(contract, SIZE, RECORDS)
    records = list(arrived(builder, logical))
    publishing(builder, logical, records)
    consuming(contract, builder, logical, records)


def arrived(builder: EnvelopeBuilder, logical: Sequence[Any]) -> Iterator[Record]:
    for number, each in enumerate(logical):
        built = builder.build(each)
        record = Record(f"0:{number}", built.topic, built.headers, built.payload, log="bars")
        record.known = fold(record.headers)
        yield record


def publishing(builder: EnvelopeBuilder, logical: Sequence[Any], records: Sequence[Record]) -> None:
    topic, meter = builder.topic(logical[0]["topic"]), Meter()
    show("publishing", None)
    show("the whole envelope", best(builder.build, logical))
    show("  topic", best(lambda r: builder.topic(r["topic"]), logical))

    def parse(record: Any) -> None:
        builder.check_payload(topic, record["schema_fqdn"], record["payload"])

    show("  payload parsed", best(parse, logical))
    show("  id", best(lambda _: builder.message_id(), logical))
    show("  time", best(lambda _: builder.produced_at(), logical))
    show("  trace", best(lambda _: builder.trace(None), logical))
    show("  key", best(lambda r: builder.partition_key(topic, r["key"]), logical))
    show("  characters and size", best(lambda r: builder.check(r.headers, r.payload), records))
    show("headers for Kafka", best(lambda r: headers_of(r.topic, r.headers), records))
    show("counting", best(lambda r: meter.produced(r.topic, "p", SIZE), records))


def consuming(contract: Any, builder: Any, logical: Sequence[Any], records: Any) -> None:
    admission, headers = Admission(contract), HeaderCheck(contract, strict=False)
    domain, topic = contract.domains["bars"], builder.topic(logical[0]["topic"])
    schema, types, meter = logical[0]["schema_fqdn"], payloads.types(contract), Meter()
    messages = [types.decode(schema, each.payload) for each in records]
    entities = [payloads.elements(domain, schema, each) for each in messages]
    show("consuming", None)
    show("admission", best(admission.refusal, records))
    show("  topic", best(lambda r: topics.parse(contract, r.topic), records))
    show("  headers", best(lambda r: headers.check(r.known, domain, [], env="dev"), records))
    show("  payload parsed", best(lambda r: types.decode(schema, r.payload), records))
    show("  its entities", best(lambda m: payloads.elements(domain, schema, m), messages))
    show("  their key", best(lambda e: keys.parts_of(domain, topic, e), entities))
    show("  their state's claims", best(lambda e: claims_of(domain, e), entities))
    show(
        "latency observed",
        best(lambda r: meter.delivered(r.topic, r.known["produced_at"]), records),
    )
    show(f"seen, attempts, state, place; {BATCH} a transaction", kept(contract, builder, logical))


def kept(contract: Any, builder: EnvelopeBuilder, logical: Sequence[Any]) -> float:
    """Return what it costs to keep what is to be kept of records that come in batches."""
    admission = Admission(contract)
    records = list(arrived(builder, logical))
    for each in records:
        assert admission.refusal(each) is None
        each.ids = admission.ids(each)
    with tempfile.TemporaryDirectory(prefix="ampy-bench-") as folder:
        store = Store(folder, "g")
        states = States(contract, store)
        handled: list[Record] = []
        begun = time.thread_time()
        for at in range(0, len(records), BATCH):
            fresh = records[at : at + BATCH]
            with store:
                for each in handled:
                    store.mark(each.ids, watermark=each.watermark, state=states.apply(each))
                store.look([each.ids[0] for each in fresh])
                for each in fresh:
                    if not store.seen(each.ids):
                        store.begin(each.ids[0])
            handled = fresh
        taken = time.thread_time() - begun
        store.close()
    return taken / len(records) * 1e6


def best(part: Callable[[Any], Any], given: Sequence[Any]) -> float:
    """Return the microseconds of one call, best of several passes."""
    found = []
    for _ in range(PASSES):
        begun = time.thread_time()
        for each in given:
            part(each)
        found.append(time.thread_time() - begun)
    return min(found) / len(given) * 1e6


def show(name: str, microseconds: float | None) -> None:
    print(name if microseconds is None else f"  {name:<52}{microseconds:6.2f} us")


if __name__ == "__main__":
    main()
