"""Known failures: accepted for a while, on record, and never silently."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

from ampy_conformance._errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

FIELDS = {"clause", "issue", "expires", "signature"}


@dataclass(frozen=True)
class KnownFailure:
    """One entry: `clause` may fail until `expires`, if what it says contains `signature`."""

    clause: str
    issue: str
    expires: dt.date
    signature: str

    def line(self) -> dict[str, str]:
        """Return what the report says of it."""
        return {
            "clause": self.clause,
            "issue": self.issue,
            "expires": self.expires.isoformat(),
            "signature": self.signature,
        }

    def covers(self, clause: str, says: str, today: dt.date) -> bool:
        """Tell whether a failure of `clause` with the message `says` is this one."""
        told = says.removeprefix(f"{clause}: ")  # else the clause's own name would cover anything
        return clause == self.clause and self.signature in told and today <= self.expires


def load(path: Path, clauses: Collection[str]) -> tuple[KnownFailure, ...]:
    """Read a known-failure file (a YAML list); every mistake in it is a `UsageError`."""
    try:
        data = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read the known failures {path}: {error.strerror}") from error
    except (ValueError, yaml.YAMLError) as error:  # no text, no YAML, or a date that is none
        raise UsageError(f"{path} is not YAML: expected a list of known failures") from error
    if not isinstance(data, list):
        raise UsageError(f"{path} must be a list of entries with {', '.join(sorted(FIELDS))}")
    return tuple(_entry(path, number, each, clauses) for number, each in enumerate(data, 1))


def _entry(path: Path, number: int, data: Any, clauses: Collection[str]) -> KnownFailure:
    where = f"{path}, entry {number}"
    if not isinstance(data, dict) or set(data) != FIELDS:
        raise UsageError(f"{where}: needs exactly the fields {', '.join(sorted(FIELDS))}")
    if not isinstance(data["clause"], str) or data["clause"] not in clauses:
        raise UsageError(f"{where}: there is no clause {data['clause']!r}")
    if not isinstance(data["expires"], dt.date) or isinstance(data["expires"], dt.datetime):
        raise UsageError(f"{where}: expires must be a date such as 2030-01-31")
    if not _is_link(str(data["issue"])):
        raise UsageError(f"{where}: issue must be the URL of the issue that tracks the failure")
    if not isinstance(data["signature"], str) or not data["signature"].strip():
        raise UsageError(f"{where}: signature must be a part of the failure's message")
    return KnownFailure(data["clause"], data["issue"], data["expires"], data["signature"])


def _is_link(text: str) -> bool:
    try:
        link = urlsplit(text)
    except ValueError:
        return False
    return link.scheme in ("http", "https") and bool(link.netloc)


def stale(
    entries: tuple[KnownFailure, ...],
    ran: Mapping[str, Collection[str]],
    passed: Collection[str],
    used: Collection[KnownFailure],
    *,
    complete: bool,
    today: dt.date,
) -> list[str]:
    """Say of each entry that no longer holds why; an entry that holds is silent.

    `ran` maps each clause that ran to the messages it failed with, `passed` names those of which
    a case passed: what was left open is neither better nor worse. `complete` tells that nothing was
    deselected, so that an entry that met no case matches nothing at all.
    """
    found = []
    for each in entries:
        if today > each.expires:
            found.append(f"{each.clause}: the known failure expired on {each.expires}")
        elif each in used:
            continue
        elif each.clause in ran:
            if ran[each.clause]:
                what = "fails in another way than its signature says"
            elif each.clause in passed:
                what = "passes now"
            else:
                continue
            found.append(f"{each.clause}: {what}; remove or correct the entry")
        elif complete:
            found.append(f"{each.clause}: the known failure matches nothing in this run")
    return found
