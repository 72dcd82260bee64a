"""Whatever a binding or a broker said, made fit to be shown: no secrets, nothing invisible, bounded.

A renderer has only the syntax of its own format left to care about.
"""

from __future__ import annotations

import re
from typing import Any

LONGEST = 4000
MOST = 1000
DEEPEST = 12

# user:password@ of a URL, and parameters of its query that are secret by their name.
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]*(?:@[^/\s@]*)*@")
_PARAMETER = re.compile(
    r"(?i)(?<=[?&;])((?:access_?|auth_?|api_?|refresh_?)?(?:token|key|secret|password|passwd|pwd|"
    r"signature|sig|credential)s?=)[^&;#\s\"']+"
)
_AUTHORIZATION = re.compile(r"(?i)\b(authorization\b[^A-Za-z0-9]{0,5}(?:(?:bearer|basic)\s+)?)\S+")
# What no reader sees, what turns text around, and what XML 1.0 or UTF-8 cannot carry. Tabs and line
# ends stay: a renderer of single lines folds them.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufe00-\ufe0f\ufeff\ufff0-\uffff\U000e0000-\U000e0fff]"
)


def redact(value: Any) -> Any:
    """Return a JSON value in which no text carries the secrets of a URL."""
    if isinstance(value, str):
        return _redacted(value)
    if isinstance(value, dict):
        return {_redacted(str(name)): redact(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [redact(each) for each in value]
    return value


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


def _redacted(value: str) -> str:
    if "://" not in value and "uthorization" not in value.lower() and "=" not in value:
        return value
    value = _CREDENTIALS.sub("***@", value)
    value = _PARAMETER.sub(r"\1***", value)
    return _AUTHORIZATION.sub(r"\1***", value)


def _escape(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
