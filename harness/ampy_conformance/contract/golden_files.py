"""The files below `golden/`: written from the spec, compared with it, judged."""

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

REMEDY = "run `ampy-conform golden build`"
SEVERITY = {"invalid": "fail", "warned": "warn"}


def write(contract: Contract, folder: Path) -> list[str]:
    """Write all golden envelopes below `folder`, remove what is no longer made; return names.

    A file that is current stays as it is: a newer zlib does not rewrite what it unpacks alike.
    """
    wanted = golden.build(contract)
    for each in wanted:
        path = folder / f"{each.name}.json"
        if _difference(contract, each, path) is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(each.text(contract), "utf-8")
    for path in _unexpected(wanted, folder):
        path.unlink()
    return [each.name for each in wanted]


def problems(contract: Contract, folder: Path) -> list[str]:
    """Return what is wrong with the files in `folder`, one sentence each; empty: all is well."""
    wanted = golden.build(contract)
    if not folder.is_dir():
        return [f"there is no folder {folder}; {REMEDY}"]
    found = []
    for each in wanted:
        path = folder / f"{each.name}.json"
        difference = _difference(contract, each, path)
        if difference is not None:
            found.append(f"golden/{each.name}.json {difference}; {REMEDY}")
    found += [
        f"golden/{path.relative_to(folder).as_posix()} is made by no case of the spec; {REMEDY}"
        for path in _unexpected(wanted, folder)
    ]
    linter = Linter(contract)
    found += [problem for each in wanted if (problem := _misjudged(linter, each, folder))]
    return found


def _unexpected(wanted: list[Golden], folder: Path) -> list[Path]:
    names = {f"{each.name}.json" for each in wanted}
    return [
        path
        for path in sorted(folder.rglob("*.json"))
        if path.relative_to(folder).as_posix() not in names
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


def _misjudged(linter: Linter, each: Golden, folder: Path) -> str | None:
    try:
        text = (folder / f"{each.name}.json").read_text("utf-8")
        envelope = from_json(json.loads(text))
    except (OSError, ValueError) as error:
        is_envelope = isinstance(error, EnvelopeError)
        return f"golden/{each.name}.json is no envelope: {error}" if is_envelope else None
    seen = [(finding.clause, finding.severity) for finding in linter.check(envelope)]
    wanted = [] if each.expects == "valid" else [(each.clause, SEVERITY[each.expects])]
    if seen == wanted:
        return None
    said = ", ".join(f"{clause} ({severity})" for clause, severity in seen) or "nothing"
    expected = ", ".join(f"{clause} ({severity})" for clause, severity in wanted) or "nothing"
    return f"golden/{each.name}.json is judged {said} instead of {expected}"
