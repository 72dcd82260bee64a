"""The broker's side of a lab: raw injection, raw reading, and what the contract says of it."""

from __future__ import annotations

import datetime as dt
import hashlib
import time
from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ampy_conformance.broker import BrokerError, WireRecord
from ampy_conformance.contract import encoding, keys, samples, topics
from ampy_conformance.contract.envelope import Envelope
from ampy_conformance.contract.lint import Linter
from ampy_conformance.contract.stream import StreamLinter
from ampy_conformance.suite.judging import Judging
from ampy_conformance.suite.verdicts import Inconclusive, NotClaimed, NotRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ampy_conformance.broker import Broker, Lane, Observer
    from ampy_conformance.contract.findings import Finding
    from ampy_conformance.contract.samples import Sample
    from ampy_conformance.history import Recorder
    from ampy_conformance.suite.bus import Published
    from ampy_conformance.suite.session import Session

# A field number that no payload type of the contract uses, as a later minor version might.
UNKNOWN_FIELD = bytes([0xFA, 0x3F, 0x05]) + b"later"
# So many dead letters that did not come in all the time that there is, and no other gets it.
LETTERS_TO_LOSE = 6
# Seconds between a second's beginning and what happens in it: clocks are read in milliseconds.
GUARD = 0.02


class WireSide(Judging):
    """One lane of the broker, seen and fed by the raw client: ground truth."""

    session: Session
    history: Recorder
    kind: str  # what this case and its like are called
    _lane: Lane | None = None
    _wire: Observer | None = None
    audited = False
    # What the raw client raises while the broker is away.
    unreachable = BrokerError

    @property
    def broker(self) -> Broker:
        """The broker of this run."""
        assert self.session.broker is not None
        return self.session.broker

    @property
    def lane(self) -> Lane:
        """The isolated part of the broker that belongs to this test."""
        if self._lane is None:
            self._lane = self.broker.lane()
        return self._lane

    @property
    def wire(self) -> Observer:
        """The raw observer of this lane."""
        if self._wire is None:
            self._wire = self.lane.observe()
        return self._wire

    def tapped(self) -> list[WireRecord]:
        """Return what passed by the observer so far; nothing where nobody has looked yet."""
        return [] if self._wire is None else self._wire.tap()

    # -- samples ------------------------------------------------------------------------

    def sample(self, domain: str = "bars", **options: Any) -> Sample:
        """Return a logical record whose payload is unique in this run."""
        return self.session.samples.record(domain, **options)

    def series(self, count: int, domain: str = "bars", **options: Any) -> list[Sample]:
        """Return `count` records of one entity, in order."""
        return [self.sample(domain, **options) for _ in range(count)]

    def publishable(self) -> list[str]:
        """Return the domains in which producers publish: all but dead letters."""
        return [name for name in self.session.contract.domains if name != "dlq"]

    def on_topic(self, sample: Sample, topic: str) -> Sample:
        """Return the same record on another topic."""
        return replace(sample, topic=topic)

    def keyed(self, sample: Sample, **parts: str) -> Sample:
        """Return the same record as one of another entity; its payload has to say the same."""
        key = {**sample.key, **parts}
        literal = keys.from_parts(self.session.contract, sample.domain, key)
        return replace(sample, key=key, partition_key=literal)

    def keyed_like(self, sample: Sample, record: WireRecord, *, dedupe_key: str) -> Sample:
        """Return the record under another one's topic and keys: its duplicate by dedupe key."""
        key = record.header("partition_key") or sample.partition_key
        return replace(sample, topic=record.topic, partition_key=key, dedupe_key=dedupe_key)

    def with_unknown_field(self, sample: Sample) -> Sample:
        """Return the record with a payload field that no schema of today knows."""
        payload = sample.payload + UNKNOWN_FIELD
        return replace(sample, payload=payload, digest=hashlib.sha256(payload).hexdigest())

    def qos(self, domain: str) -> str:
        """Return the QoS class of a domain (A-25)."""
        return self.session.contract.domains[domain].qos

    def matches(self, pattern: str, topic: str) -> bool:
        """Tell whether the contract's pattern covers the topic."""
        return topics.matches(pattern, topic)

    def required_headers(self) -> list[str]:
        """Return the names of the headers that every record has to carry."""
        return [each.name for each in self.session.contract.headers if each.required]

    def key_forms(self, sample: Sample) -> list[str]:
        """Return the contract's partition key for the record, then the tolerated forms."""
        contract = self.session.contract
        message = samples.message_of(contract, sample)
        forms = keys.expected(
            contract, topics.parse(contract, sample.topic), sample.schema_fqdn, message
        )
        if forms is None:
            return []
        return [forms.canonical, *(each for each in forms.accepted if each != forms.canonical)]

    def fields_of(self, sample: Sample) -> Any:
        """Return the decoded payload of a record."""
        return samples.message_of(self.session.contract, sample)

    def next_second(self) -> dt.datetime:
        """Return the next whole second, when it has just begun."""
        now = dt.datetime.now(dt.UTC)
        second = now.replace(microsecond=0) + dt.timedelta(seconds=1)
        time.sleep((second - now).total_seconds() + GUARD)
        return second

    def ago(self, seconds: float) -> str:
        """Return the time so many seconds ago, as `produced_at` has it."""
        at = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=seconds)
        return at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"

    # -- injection ----------------------------------------------------------------------

    def inject(
        self,
        sample: Sample,
        /,
        *,
        drop: Sequence[str] = (),
        payload: bytes | None = None,
        corrupt: bool = False,
        **headers: str,
    ) -> Envelope:
        """Publish a valid envelope of `sample` raw, with the given faults, and return it.

        `headers` override or add, `drop` removes, `payload` replaces the bytes on the wire;
        `corrupt` notes in the history that no handler may be given the record.
        """
        more: dict[str, Any] = headers
        envelope = samples.envelope(self.session.contract, sample, **more)
        kept = {name: value for name, value in envelope.headers.items() if name not in drop}
        body = (envelope.payload or b"") if payload is None else payload
        return self.inject_raw(envelope.topic, kept, body, corrupt=corrupt)

    def inject_raw(
        self, topic: str, headers: Mapping[str, str], payload: bytes, *, corrupt: bool = False
    ) -> Envelope:
        """Publish these bytes under these headers with the raw client, and return them.

        Headers of the transport are left out: with a `Nats-Msg-Id` taken from a stored record the
        broker would do the deduplication that the binding has to do.
        """
        position = None
        headers = {n: v for n, v in headers.items() if not self.broker.is_transport(n)}
        try:
            position = self.wire.publish(topic, headers, payload)
        finally:  # one whose end is unknown may be there all the same
            self._injected(topic, headers, payload, position, corrupt=corrupt)
        return Envelope(topic=topic, headers=dict(headers), payload=payload)

    def _injected(
        self,
        topic: str,
        headers: Mapping[str, str],
        payload: bytes,
        position: str | None,
        *,
        corrupt: bool,
    ) -> None:
        self.history.add(
            "inject",
            actor="raw",
            topic=topic,
            message_id=headers.get("message_id"),
            dedupe_key=headers.get("dedupe_key"),
            key=headers.get("partition_key"),
            position=position,
            body_hash=body_digest(WireRecord(topic, tuple(headers.items()), payload))
            or hashlib.sha256(payload).hexdigest(),
            detail={"corrupt": True} if corrupt else {},
        )

    def request_replay(
        self,
        domain: str,
        *,
        env: str = "dev",
        start: dt.datetime | None = None,
        end: dt.datetime | None = None,
        **facts: Any,
    ) -> str:
        """Put a ReplayRequest on the control topic, raw, and return its id (A-16).

        `facts`: subtopic, version, key (parts by name), request_id.
        """
        request: dict[str, Any] = {"request_id": self.session.handles.new("req-"), "version": "v1"}
        request |= {"domain": domain, "subtopic": "", **facts}
        for name, each in {"start": start, "end": end}.items():
            request[name] = each and each.isoformat().replace("+00:00", "Z")
        sample = self.sample("control", case="minimal", env=env, fields=request)
        scope = {"request": request["request_id"], "domain": domain}
        scope |= {
            f"{name}_ns": int(at.timestamp() * 1000) * 1_000_000
            for name, at in (("from", start), ("until", end))
            if at is not None
        }
        narrow = bool(request["subtopic"] or request.get("key"))
        self.history.add(
            "replay", actor="raw", topic=sample.topic, detail={**scope, "narrow": narrow}
        )
        self.inject(sample)
        return str(request["request_id"])

    def audit(self) -> None:
        """Read everything that is stored, raw and from its start, into the history; once."""
        if self.audited:
            return
        self.audited = True
        records = self.wire.records()
        live: dict[tuple[str, str | None], WireRecord] = {}
        for each in records:  # the first is the original; a redriven one comes after it
            if not is_dead(each):
                live.setdefault((each.topic, each.header("message_id")), each)
        for each in records:
            dead = is_dead(each)
            detail: dict[str, Any] = {"stream": each.stream}
            if dead:
                detail["missing_headers"] = self._missing(each, live)
            elif at := _nanoseconds(each.header("produced_at")):
                detail["produced_ns"] = at
            self.history.add(
                "dlq" if dead else "audit",
                actor="raw",
                topic=each.topic,
                message_id=each.header("message_id"),
                dedupe_key=each.header("dedupe_key"),
                key=each.header("partition_key"),
                position=each.position,
                body_hash=body_digest(each) or hashlib.sha256(each.payload).hexdigest(),
                detail=detail,
            )
        for each in self.wire.tap():
            if not is_dead(each):
                self.history.add(
                    "wire",
                    actor="raw",
                    topic=each.topic,
                    message_id=each.header("message_id"),
                    body_hash=body_digest(each) or hashlib.sha256(each.payload).hexdigest(),
                    detail={"at_ns": each.t_ns},
                )
        self.history.add("mark", detail={"audited": True})

    def _missing(
        self, letter: WireRecord, live: Mapping[tuple[str, str | None], WireRecord]
    ) -> int | None:
        """Return how many headers of the original a dead letter lacks or changes; None without one."""
        topic = letter.header("original_topic")
        original = live.get((topic or "", letter.header("message_id")))
        if original is None:
            return None
        ours = {each for each in original.headers if not self.broker.is_transport(each[0])}
        return len(ours - set(letter.headers))

    # -- reading ------------------------------------------------------------------------

    def stored(self, *, dead: bool = False) -> list[WireRecord]:
        """Return what the broker has stored, from its start: live records or dead letters."""
        return [each for each in self.wire.records() if is_dead(each) is dead]

    def stored_digests(self) -> list[str | None]:
        """Return the body digests of the live records, in stored order."""
        return [body_digest(each) for each in self.stored()]

    def on_wire(self, sample: Sample) -> list[WireRecord]:
        """Return the stored live records that carry this sample's body."""
        return [each for each in self.stored() if body_digest(each) == sample.digest]

    def wire_of(self, published: Published) -> WireRecord | None:
        """Return the stored record of a publish: by its body, else by the id that was told."""
        found = self.on_wire(published.sample)
        if not found and published.message_id:
            mine = published.message_id.lower()
            found = [
                each for each in self.stored() if (each.header("message_id") or "").lower() == mine
            ]
        return found[0] if found else None

    def seen(self, sample: Sample) -> list[WireRecord]:
        """Return everything on any subject, stored or not, that carries this sample's body."""
        return [each for each in self.wire.tap() if body_digest(each) == sample.digest]

    def passed_by(self, sample: Sample, patience: float = 6.0) -> bool:
        """Wait until this sample's body was seen on any subject.

        The tap has the order of the broker: what was published before has been seen as well.
        """
        found = self.wire.wait_for(self.about(sample), self.patience(patience), where="tap")
        return found is not None

    def lint(self, records: Iterable[WireRecord]) -> dict[str, list[Finding]]:
        """Return what the contract says against these records, by clause."""
        contract = self.session.contract
        single, stream = Linter(contract), StreamLinter(contract)
        found: dict[str, list[Finding]] = defaultdict(list)
        for each in records:
            envelope = Envelope(each.topic, each.header_map(), each.payload)
            for finding in (*single.check(envelope), *stream.feed(envelope)):
                found[finding.clause].append(finding)
        for finding in stream.finish():
            found[finding.clause].append(finding)
        return found

    def about(self, sample: Sample) -> Callable[[WireRecord], bool]:
        """Return a predicate: the record carries this sample's body."""
        return lambda record: body_digest(record) == sample.digest

    def dead_letter(
        self, predicate: Callable[[WireRecord], object], patience: float = 6.0
    ) -> WireRecord | None:
        """Wait for a stored dead letter that `predicate` accepts, in whatever topic form (A-05).

        While the broker keeps a record for its group, its binding may still be trying, with pauses
        of its own: then it is waited for as long as A-25 allows. Where that was in vain several
        times, or once in another case of the same kind, it is waited for shortly, and what is still
        kept then is inconclusive.
        """

        def look(seconds: float) -> WireRecord | None:
            return self.wire.wait_for(
                lambda record: is_dead(record) and bool(predicate(record)),
                self.patience(seconds),
                where="log",
            )

        within = self.session.contract.qos["dead_letter_within_s"]
        deadline = time.monotonic() + self.patience(within)
        found = look(patience)
        while found is None and self.still_tries():
            lost = self.session.lost_letters
            if lost[self.kind] or lost.total() >= LETTERS_TO_LOSE:
                raise Inconclusive(
                    "coverage: a record without a dead letter is still kept, and was waited for shortly: "
                    f"others had none within {within} s"
                )
            if time.monotonic() > deadline:
                lost[self.kind] += 1
                break
            found = look(1.0)
        return found or look(0.0)

    def still_tries(self) -> bool:
        """Tell whether a record may still become a dead letter: the broker keeps one for a group."""
        return bool(self.unacknowledged())

    def stored_dead_letter(self, payload: bytes, patience: float = 6.0) -> WireRecord | None:
        """Wait for a stored dead letter with exactly these payload bytes."""
        return self.dead_letter(lambda record: record.payload == payload, patience)

    def stored_again(self, sample: Sample, patience: float = 6.0) -> WireRecord | None:
        """Wait for a second stored live record that carries this sample's body."""

        def twice() -> bool:
            return len(self.on_wire(sample)) > 1

        found = self.wire.wait_until(twice, self.patience(patience))
        return self.on_wire(sample)[-1] if found else None

    def tried_dead_letter(self) -> bool:
        """Wait until some record was sent to a DLQ topic, whether or not it was stored."""
        return self.wire.wait_for(is_dead, self.patience(6.0), where="tap") is not None

    def unacknowledged(self) -> int:
        """Return how many delivered records the broker counts as not yet acknowledged."""
        return sum(each.pending_acks for each in self.wire.consumers())

    def acknowledged(self, count: int) -> bool:
        """Wait until some group has acknowledged `count` records without a gap."""

        def most() -> int:
            settled: Counter[str] = Counter()
            for each in self.wire.consumers():
                settled[each.name] += each.settled
            return max(settled.values(), default=0)

        return self.wire.wait_until(lambda: most() >= count, self.patience(6.0))

    # -- broker faults ------------------------------------------------------------------

    def needs_durable_broker(self) -> None:
        """End the case where the broker keeps nothing, or may not be restarted by us."""
        if not self.broker.durable:
            raise NotClaimed(f"the {self.broker.kind} broker keeps nothing over a restart")
        if not self.broker.ours:
            raise NotRun("restart: the broker was given by URL, only an embedded one is restarted")

    def restart_broker(self) -> None:
        """Kill the broker and start it again on the same data."""
        self.history.add("fault", actor="broker", detail={"fault": "kill and restart"})
        self.broker.kill()
        self.broker.restart()

    def refuse_records(self) -> None:
        """Let the broker refuse every live record from now on."""
        self.history.add("fault", actor="broker", detail={"fault": "stream full"})
        self.wire.fill_main()

    def accept_records(self) -> None:
        """Let the broker take live records again."""
        self.wire.heal_main()

    def patience(self, seconds: float) -> float:
        """Scale a waiting time to this machine (`--time-scale`)."""
        return seconds * self.session.options.time_scale


def body_digest(record: WireRecord) -> str | None:
    """Return the SHA-256 of a wire record's decoded body, None where it cannot be decoded."""
    try:
        body = encoding.decode_body(record.header_map(), record.payload)
    except encoding.EncodingFault:
        return None
    return hashlib.sha256(body).hexdigest()


def is_dead(record: WireRecord) -> bool:
    """Tell whether a record is on a topic of the dlq domain, in whatever form (A-05)."""
    tokens = record.topic.split(".")
    return len(tokens) > 2 and tokens[2] == "dlq"


def _nanoseconds(text: str | None) -> int | None:
    try:
        at = dt.datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return None if at.tzinfo is None else int(at.timestamp() * 1000) * 1_000_000
