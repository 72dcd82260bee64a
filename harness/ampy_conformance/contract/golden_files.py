"""The files below `golden/` and `faulty/`: written from the spec, compared with it, judged."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from ampy_conformance.contract import encoding, golden
from ampy_conformance.contract.envelope import EnvelopeError, from_json
from ampy_conformance.contract.lint import Linter

if TYPE_CHECKING:
    from pathlib import Path

    from ampy_conformance.contract.golden import Golden
    from ampy_conformance.contract.model import Contract

ROOMS = ("golden", "faulty")
REMEDY = "run `ampy-conform golden build`"
SEVERITY = {"invalid": "fail", "warned": "warn"}


def write(contract: Contract, root: Path) -> list[str]:
    """Write all golden envelopes below `root`, remove what is no longer made; return names.

    A file that is current stays as it is: a newer zlib does not rewrite what it unpacks alike.
    """
    wanted = golden.build(contract)
    for each in wanted:
        path = root / f"{each.name}.json"
        if _difference(contract, each, path) is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(each.text(contract), "utf-8")
    for path in _unexpected(wanted, root):
        path.unlink()
    return [each.name for each in wanted]


def problems(contract: Contract, root: Path, wanted: list[Golden] | None = None) -> list[str]:
    """Return what is wrong with the files below `root`, one sentence each; empty: all is well.

    Pass what `golden.build` returned, or it is built again.
    """
    wanted = golden.build(contract) if wanted is None else wanted
    found = []
    for each in wanted:
        path = root / f"{each.name}.json"
        difference = _difference(contract, each, path)
        if difference is not None:
            found.append(f"{each.name}.json {difference}; {REMEDY}")
    found += [
        f"{path.relative_to(root).as_posix()} is made by no case of the spec; {REMEDY}"
        for path in _unexpected(wanted, root)
    ]
    linter = Linter(contract)
    found += [problem for each in wanted if (problem := _misjudged(linter, each, root))]
    return found


def _unexpected(wanted: list[Golden], root: Path) -> list[Path]:
    names = {f"{each.name}.json" for each in wanted}
    return [
        path
        for room in ROOMS
        for path in sorted((root / room).rglob("*.json"))
        if path.relative_to(root).as_posix() not in names
    ]


def _difference(contract: Contract, each: Golden, path: Path) -> str | None:
    try:
        seen = json.loads(path.read_text("utf-8"))
    except OSError:
        return "is missing"
    except ValueError:
        return "is not JSON"
    wanted = json.loads(each.text(contract))
    left, right = _comparable(wanted), _comparable(seen)
    if left == right:
        return None
    names = [name for name in {**left, **right} if left.get(name) != right.get(name)]
    return f"is out of date ({', '.join(names)})"


def _comparable(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data with gzip undone, and without what depends on the compressor."""
    try:
        payload = base64.b64decode(data["payload_b64"], validate=True)
        headers = dict(data["headers"])
    except (KeyError, TypeError, ValueError):
        return data
    if not encoding.looks_gzip(payload):
        return data
    try:
        body = encoding.gunzip(payload).hex()
    except encoding.EncodingFault:
        body = "gzip that is cut off"
    kept = {name: value for name, value in data.items() if name not in ("payload_sha256", "size")}
    headers.pop("payload_hash", None)
    return {**kept, "headers": headers, "payload_b64": body}


def _misjudged(linter: Linter, each: Golden, root: Path) -> str | None:
    try:
        text = (root / f"{each.name}.json").read_text("utf-8")
        envelope = from_json(json.loads(text))
    except (OSError, ValueError) as error:
        is_envelope = isinstance(error, EnvelopeError)
        return f"{each.name}.json is no envelope: {error}" if is_envelope else None
    seen = [(finding.clause, finding.severity) for finding in linter.check(envelope)]
    wanted = [] if each.expects == "valid" else [(each.clause, SEVERITY[each.expects])]
    if seen == wanted:
        return None
    said = ", ".join(f"{clause} ({severity})" for clause, severity in seen) or "nothing"
    expected = ", ".join(f"{clause} ({severity})" for clause, severity in wanted) or "nothing"
    return f"{each.name}.json is judged {said} instead of {expected}"
