"""The protocol as data: `schemas/driver/protocol.json` and `errors.json`, read once."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ampy_conformance._layout import room

if TYPE_CHECKING:
    from collections.abc import Mapping

# Exit code with which the host process of `py:` drivers says that it cannot load the class.
CANNOT_LOAD = 66


@dataclass(frozen=True)
class Schema:
    """The two files: `root` is the whole JSON Schema, `errors` the table of error codes."""

    root: Mapping[str, Any]
    errors: Mapping[str, Mapping[str, Any]]

    @property
    def definitions(self) -> Mapping[str, Any]:
        """All definitions, named `request.OP`, `answer.OP`, `event.NAME` and so on."""
        return self.root["$defs"]  # type: ignore[no-any-return]

    @property
    def versions(self) -> tuple[int, int]:
        """The lowest and highest protocol version spoken here."""
        return self.root["x-lowest-protocol-version"], self.root["x-protocol-version"]

    @property
    def max_line(self) -> int:
        """How many bytes a line may have, newline included."""
        return int(self.root["x-max-line-bytes"])

    def names(self, kind: str) -> tuple[str, ...]:
        """Return the frames of a kind: request, answer or event."""
        return tuple(
            name.removeprefix(f"{kind}.")
            for name in self.definitions
            if name.startswith(f"{kind}.")
        )


@functools.cache
def schema() -> Schema:
    """Read the protocol's files."""
    folder = room("schemas") / "driver"
    root = json.loads((folder / "protocol.json").read_text("utf-8"))
    errors = json.loads((folder / "errors.json").read_text("utf-8"))["errors"]
    return Schema(root, errors)
