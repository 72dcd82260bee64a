"""Certificates: what a report says, bound to digests and signed.

A certificate is an in-toto statement (v1) with the test-result predicate (v0.1) in a DSSE
envelope, signed with Ed25519. `docs/certificates.md` has the format and what it protects from.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from ampy_conformance._errors import UsageError
from ampy_conformance.contract.digest import tree_digest
from ampy_conformance.contract.envelope import EnvelopeError, parse
from ampy_conformance.report import lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from ampy_conformance.contract import Contract
    from ampy_conformance.report.keys import Private, Public
    from ampy_conformance.report.lines import Report

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
RESULTS = ("PASSED", "WARNED", "FAILED")
LARGEST = 16 * 1024 * 1024
TIME = "%Y-%m-%dT%H:%M:%SZ"


class CorruptCertificate(UsageError):
    """The file is not a whole certificate."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: `holds` is None where it could not be."""

    what: str
    says: str
    holds: bool | None


# -- sign -------------------------------------------------------------------------------------


def statement(
    report: Report,
    raw: bytes,
    name: str,
    *,
    issued: dt.datetime,
    expires: dt.datetime,
    driver: Path | None = None,
) -> dict[str, Any]:
    """Return the statement on a report, whose bytes are `raw` and whose file is called `name`.

    The files of the driver are those that the report names, and the file or folder `driver`.
    """
    subject = [{"name": name, "digest": {"sha256": hashlib.sha256(raw).hexdigest()}}]
    history = _history(report)
    if history is not None:
        subject.append({"name": history["file"], "digest": {"sha256": _hex(history["digest"])}})
    subject += [
        {"name": each["name"], "digest": {"sha256": each["sha256"]}}
        for each in report.run["driver"].get("files") or ()
    ]
    if driver is not None:
        subject.append({"name": driver.name, "digest": artifact(driver)})
    return {
        "_type": STATEMENT,
        "subject": subject,
        "predicateType": PREDICATE,
        "predicate": {
            **said(report),
            "issued": issued.strftime(TIME),
            "expires": expires.strftime(TIME),
        },
    }


def said(report: Report) -> dict[str, Any]:
    """Return what a report says, as the predicate has it."""
    run, end = report.run, report.end
    outcomes: dict[str, list[str]] = {}
    for name, row in report.clauses.items():
        outcomes.setdefault(str(row["outcome"]), []).append(name)
    code = end.get("exit_code", end.get("exit"))
    warned = outcomes.get("warn", [])
    # A known failure is a failure that somebody puts up with: it is named among them.
    known = outcomes.get("known failure", [])
    result = "FAILED" if code != 0 else "WARNED" if warned or known else "PASSED"
    driver = run["driver"]
    return {
        "result": result,
        "configuration": [
            {
                "name": f"contract {run['contract']['name']} {run['contract']['version']}",
                "digest": {"ampy_tree_sha256": _hex(run["contract"]["digest"])},
            },
            {
                "name": f"suite {run['suite']['name']} {run['suite']['version']}",
                "digest": {"ampy_tree_sha256": _hex(run["suite"]["digest"])},
            },
            {"name": "driver", "annotations": _facts(driver, ("name", "version", "connectable"))},
            {
                "name": "broker",
                "annotations": _facts(run["broker"], ("kind", "version", "provenance")),
            },
            {
                "name": "run",
                "annotations": {
                    **_facts(run, ("seed", "started")),
                    "selection": run.get("selection") or {},
                },
            },
        ],
        "passedTests": outcomes.get("pass", []),
        "warnedTests": warned,
        "failedTests": [*outcomes.get("fail", []), *outcomes.get("error", []), *known],
        "exitCode": code,
        "outcomes": {name: len(each) for name, each in sorted(outcomes.items())},
    }


def seal(content: Mapping[str, Any], key: Private) -> str:
    """Return the certificate: the DSSE envelope of a statement, as the text of a file."""
    body = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    envelope = {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(body).decode(),
        "signatures": [
            {
                "keyid": key.public().id,
                "sig": base64.b64encode(key.sign(pae(PAYLOAD_TYPE, body))).decode(),
            }
        ],
    }
    return json.dumps(envelope, indent=2) + "\n"


def pae(kind: str, body: bytes) -> bytes:
    """Return what is signed: DSSE's pre-authentication encoding."""
    name = kind.encode()
    return b"DSSEv1 %d %s %d %s" % (len(name), name, len(body), body)


def artifact(path: Path) -> dict[str, str]:
    """Return the digest set of a driver: of a file its SHA-256, of a folder that of its tree."""
    try:
        if path.is_dir():
            return {"ampy_tree_sha256": _hex(tree_digest(path))}
        return {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


def _history(report: Report) -> Mapping[str, Any] | None:
    found = report.end.get("history") or report.run.get("history")
    return found if isinstance(found, dict) and "digest" in found and "file" in found else None


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")


def _facts(data: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {each: data[each] for each in names if each in data}


# -- verify -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Certificate:
    """A certificate as read: nothing of it is true before its signature was checked."""

    body: bytes
    kind: str
    signatures: tuple[tuple[str, bytes], ...]

    @property
    def statement(self) -> dict[str, Any]:
        """The statement; raises `CorruptCertificate` where there is none."""
        data = _parse(self.body, "the statement in the certificate")
        if data.get("_type") != STATEMENT or data.get("predicateType") != PREDICATE:
            raise CorruptCertificate("the certificate holds no test-result statement of in-toto")
        if not isinstance(data.get("predicate"), dict) or not isinstance(data.get("subject"), list):
            raise CorruptCertificate("the statement in the certificate has no subject or predicate")
        return data


def read(path: Path) -> Certificate:
    """Read a certificate; raises `CorruptCertificate` in one sentence."""
    try:
        if path.stat().st_size > LARGEST:
            raise CorruptCertificate(f"{path} is too large for a certificate")
        raw = path.read_bytes()
    except OSError as error:
        raise CorruptCertificate(f"cannot read the certificate {path}: {error.strerror}") from error
    data = _parse(raw, str(path))
    try:
        kind, body = data["payloadType"], _base64(data["payload"])
        signatures = tuple(
            (str(each.get("keyid") or ""), _base64(each["sig"])) for each in data["signatures"]
        )
        kind.encode()  # it is text
    except (KeyError, TypeError, ValueError, AttributeError):
        raise CorruptCertificate(
            f"{path} is no whole DSSE envelope: sign the report again"
        ) from None
    return Certificate(body, kind, signatures)


def _parse(raw: bytes, name: str) -> dict[str, Any]:
    """Parse JSON strictly: a key that stands twice would be read one way here, another way there."""
    try:
        data = parse(raw)
    except EnvelopeError as error:
        raise CorruptCertificate(f"{name} is cut off or no certificate: {error}") from None
    if not isinstance(data, dict):
        raise CorruptCertificate(f"{name} is no certificate: not a JSON object")
    return data


def _base64(text: str) -> bytes:
    """Decode base64, standard or URL-safe, as DSSE lets both stand."""
    plain = text.replace("-", "+").replace("_", "/").encode("ascii")
    return binascii.a2b_base64(plain, strict_mode=True)


def verify(
    certificate: Certificate,
    keys: Sequence[Public],
    *,
    now: dt.datetime,
    contract: Contract | None = None,
    report: Path | None = None,
    history: Path | None = None,
    driver: Path | None = None,
    beside: Path | None = None,
) -> list[Check]:
    """Return what was looked at, in this order; nothing behind a signature that does not hold.

    Everything is done here: no network, no clock but `now`. A report and a history that are None
    are looked for in the folder `beside`, by the names in the statement.
    """
    signature = _signature(certificate, keys)
    if not signature.holds:
        return [signature]
    content = certificate.statement
    predicate = content["predicate"]
    checks = [signature, _time(predicate, now)]
    if contract is not None:
        checks.append(_contract(predicate, contract))
    subjects = _subjects(content)
    names = [_beside(beside, each) for each in subjects]
    checks += _report(content, subjects, report or next(iter(names), None))
    # Of further files only a history is likely to lie there; a driver is looked at when named.
    history = history or next((each for each in names[1:] if each and _is_history(each)), None)
    for what, path in (("history", history), ("driver", driver)):
        if path is not None:
            checks.append(_bound(what, path, subjects))
    return checks


def _beside(folder: Path | None, subject: Mapping[str, Any]) -> Path | None:
    """Return the file of a subject in a folder; a name from a certificate leads nowhere else."""
    name = PurePath(str(subject.get("name", ""))).name
    path = folder / name if folder is not None and name else None
    return path if path is not None and path.is_file() else None


def _is_history(path: Path) -> bool:
    return path.suffix in (".jsonl", ".parquet")


def _signature(certificate: Certificate, keys: Sequence[Public]) -> Check:
    if certificate.kind != PAYLOAD_TYPE:
        return Check("signature", "what is signed is no in-toto statement", holds=False)
    signed = pae(certificate.kind, certificate.body)
    # The key's id in the envelope is a hint that nobody signed: every key is tried.
    for _, signature in certificate.signatures:
        for key in keys:
            if key.verifies(signature, signed):
                return Check("signature", f"signed by the key {key.id[:16]}", holds=True)
    ids = {each.id for each in keys}
    hints = [hint for hint, _ in certificate.signatures if hint]
    if not certificate.signatures:
        return Check("signature", "the certificate is not signed", holds=False)
    if any(hint in ids for hint in hints):
        return Check("signature", "the statement was changed after it was signed", holds=False)
    named = f" ({hints[0][:16]}, as it says)" if hints and hints[0].isalnum() else ""
    return Check("signature", f"signed by another key{named}, or changed afterwards", holds=False)


def _time(predicate: Mapping[str, Any], now: dt.datetime) -> Check:
    try:
        issued, expires = (_moment(predicate[each]) for each in ("issued", "expires"))
    except (KeyError, TypeError, ValueError):
        return Check(
            "dates", "the certificate does not say when it was issued and expires", holds=False
        )
    if now < issued:
        return Check(
            "dates",
            f"issued in the future, {predicate['issued']}: is the clock right?",
            holds=False,
        )
    if now >= expires:
        return Check("dates", f"expired {predicate['expires']}: certify again", holds=False)
    return Check(
        "dates", f"issued {predicate['issued']}, expires {predicate['expires']}", holds=True
    )


def _moment(text: str) -> dt.datetime:
    return dt.datetime.strptime(text, TIME).replace(tzinfo=dt.UTC)


def _contract(predicate: Mapping[str, Any], contract: Contract) -> Check:
    named, digest = _configured(predicate, "contract ")
    own = _hex(contract.digest)
    if digest == own:
        return Check("contract", f"{named}, the one here", holds=True)
    return Check(
        "contract",
        f"certified against another contract: {named} ({digest[:12]}), here is "
        f"{contract.name} {contract.version} ({own[:12]})",
        holds=False,
    )


def _configured(predicate: Mapping[str, Any], prefix: str) -> tuple[str, str]:
    for each in predicate.get("configuration") or ():
        name = str(each.get("name", ""))
        if name.startswith(prefix):
            return name.removeprefix(prefix), str(
                next(iter((each.get("digest") or {}).values()), "")
            )
    return "none", ""


def _subjects(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [each for each in content["subject"] if isinstance(each, dict) and each.get("digest")]


def _report(
    content: Mapping[str, Any], subjects: Sequence[Mapping[str, Any]], path: Path | None
) -> Iterator[Check]:
    if path is None:
        yield Check("report", "not at hand: name it with --report", holds=None)
        return
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the report {path}: {error.strerror}") from error
    if not subjects or subjects[0]["digest"].get("sha256") != hashlib.sha256(raw).hexdigest():
        yield Check(
            "report", f"{path.name} is not the report that was signed, or was edited", holds=False
        )
        return
    yield Check("report", f"{path.name} is the one that was signed", holds=True)
    told = said(lines.read(path))
    other = [name for name in told if told[name] != content["predicate"].get(name)]
    if other:
        says = f"the certificate says something else than its report ({', '.join(other)})"
        yield Check("content", says, holds=False)


def _bound(what: str, path: Path, subjects: Sequence[Mapping[str, Any]]) -> Check:
    digest = artifact(path)
    if any(each["digest"] == digest for each in subjects[1:]):
        return Check(what, f"{path.name} is the one that was signed", holds=True)
    return Check(
        what, f"{path.name} is none of the files that were signed, or was edited", holds=False
    )
