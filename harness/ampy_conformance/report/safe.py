"""Whatever a binding or a broker said, made fit to be shown: no secrets, nothing invisible, bounded.

Every rendering gets its report through `report()`; a renderer has only the syntax of its own
format left to care about. The writer of a report uses `redact` alone: what is on record is whole.
"""

from __future__ import annotations

import functools
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ampy_conformance.report.lines import Report

LONGEST = 4000
MOST = 1000
DEEPEST = 12

# user:password@ of a URL (a password may hold a slash, a port does not), parameters of its query and
# options of a command that are secret by their name.
_CREDENTIALS = re.compile(r"(?<=://)(?:[^/\s@:]+:(?!\d+/)[^\s@]*@|[^/\s@]*(?:@[^/\s@]*)*@)")
_WORDS = r"token|secret|password|passwd|pwd|signature|credential|api[_-]?key"
_PARAMETER = re.compile(
    rf"(?i)((?:(?<![\w-])(?:[\w-]*(?:{_WORDS})s?)|(?<=[?&;])(?:\w*[_-])?(?:key|sig))=)[^&;#\s\"']+"
)
_OPTION = re.compile(rf"(?i)(--[\w-]*(?:{_WORDS})s?\s+)[^\s-]\S*")
_AUTHORIZATION = re.compile(r"(?i)\b(authorization\b[^A-Za-z0-9]{0,5}(?:(?:bearer|basic)\s+)?)\S+")
# A header, or a field, whose value is one. (The signature of a known failure is none.)
_NAME = re.compile(
    r"(?i)(?:.*[^a-z])?(?:authorization|\w*token|\w*secret|password|passwd|pwd|credentials?"
    r"|api[_-]?key|.+[_-]signature)"
)
# What no reader sees, what turns text around, and what XML 1.0 or UTF-8 cannot carry. Tabs and line
# ends stay: a renderer of single lines folds them.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufe00-\ufe0f\ufeff\ufff0-\uffff\U000e0000-\U000e0fff]"
)


def redact(value: Any) -> Any:
    """Return a JSON value in which no text carries the secrets of a URL, nor what becomes text."""
    if isinstance(value, str):
        return _redacted(value)
    if isinstance(value, dict):
        return dict([_pair(str(name), each) for name, each in value.items()])
    if isinstance(value, list | tuple):
        if len(value) == 2 and isinstance(value[0], str):  # a header: name and value
            return list(_pair(*value))
        return [redact(each) for each in value]
    return value if value is None or isinstance(value, int | float) else _redacted(str(value))


def _pair(name: str, value: Any) -> tuple[str, Any]:
    """Return a name and its value, hidden where it is a secret by its name."""
    shown, secret = _name(name)
    return shown, "***" if secret and isinstance(value, str) and value else redact(value)


@functools.lru_cache(maxsize=1024)  # the names of fields and headers come again and again
def _name(name: str) -> tuple[str, bool]:
    return _redacted(name), _NAME.fullmatch(name) is not None


def text(value: str) -> str:
    """Return text without secrets and with nothing invisible in it, of at most `LONGEST` characters.

    Control characters, marks that turn the direction of writing and the like show as `\\u202e`.
    """
    whole = _redacted(value)
    # Escapes make text longer, never shorter: what lies behind the limit need not be looked at.
    shown = _INVISIBLE.sub(_escape, whole[:LONGEST])
    if len(shown) <= LONGEST and len(whole) <= LONGEST:
        return shown
    return f"{shown[:LONGEST]}... ({len(value)} characters)"


def clean(value: Any, depth: int = 0) -> Any:
    """Return a JSON value whose texts are shown as `text` does, and which is not too large or deep."""
    if isinstance(value, str):
        return text(value)
    if depth == DEEPEST and isinstance(value, dict | list | tuple):
        return "..."
    if isinstance(value, dict):
        found = {
            text(str(name)): clean(each, depth + 1) for name, each in list(value.items())[:MOST]
        }
        return found | ({"...": f"{len(value)} in all"} if len(value) > MOST else {})
    if isinstance(value, list | tuple):
        rows = [clean(each, depth + 1) for each in value[:MOST]]
        return [*rows, f"... ({len(value)} in all)"] if len(value) > MOST else rows
    return value


def report(whole: Report) -> Report:
    """Return a report whose lines are fit to be shown."""
    return replace(
        whole,
        run=clean(whole.run),
        cases=tuple(clean(each) for each in whole.cases),
        clauses={each["id"]: each for each in map(clean, whole.clauses.values())},
        end=clean(whole.end),
        trials=tuple(clean(each) for each in whole.trials),
        shared={each["name"]: each for each in map(clean, whole.shared.values())},
        loads=tuple(clean(each) for each in whole.loads),
        others=tuple(clean(each) for each in whole.others),
    )


def _redacted(value: str) -> str:
    # Plain searches: most texts hold none of these, and every text is looked at.
    if not (
        "=" in value or "://" in value or "--" in value or "authorization" in value.lower()
    ):  # fmt: skip
        return value
    value = _CREDENTIALS.sub("***@", value)
    value = _PARAMETER.sub(r"\1***", value)
    value = _OPTION.sub(r"\1***", value)
    return _AUTHORIZATION.sub(r"\1***", value)


def _escape(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
