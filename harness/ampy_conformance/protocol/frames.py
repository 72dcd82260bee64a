"""The frames of the protocol, compiled from their JSON Schema."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jsonschema_rs

from ampy_conformance._layout import room

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRETIVE = ("payload", "url")


class FrameError(ValueError):
    """A frame that breaks the protocol; one sentence that says where."""


@dataclass(frozen=True)
class Frames:
    """Validators of every frame, deadlines of requests, and the table of error codes."""

    version: int
    schema: Mapping[str, Any]
    errors: Mapping[str, Mapping[str, Any]]
    validators: Mapping[str, Any]

    @property
    def operations(self) -> tuple[str, ...]:
        """The names of all requests."""
        return tuple(
            name.partition(".")[2] for name in self.schema["$defs"] if name.startswith("request.")
        )

    def deadline(self, op: str) -> float:
        """Return how many seconds the harness waits for the answer to `op`."""
        return float(self.schema["$defs"][f"request.{op}"]["x-deadline-ms"]) / 1000

    def definite(self, code: str) -> bool:
        """Tell whether an error code says that the operation did not happen."""
        return bool(self.errors.get(code, {}).get("definite", False))

    def check_request(self, frame: Mapping[str, Any]) -> None:
        """Check a request; raises `FrameError`."""
        op = frame.get("op")
        if f"request.{op}" not in self.validators:
            raise FrameError(f"there is no request {op!r}")
        self._check(f"request.{op}", frame)

    def check_answer(self, op: str, frame: Mapping[str, Any]) -> None:
        """Check the answer to a request `op`; raises `FrameError`."""
        self._check("error" if frame.get("ok") is False else f"answer.{op}", frame)

    def check_event(self, frame: Mapping[str, Any]) -> None:
        """Check an event; raises `FrameError`."""
        name = frame.get("event")
        if f"event.{name}" not in self.validators:
            raise FrameError(f"there is no event {name!r}")
        self._check(f"event.{name}", frame)

    def _check(self, name: str, frame: Mapping[str, Any]) -> None:
        validator = self.validators[name]
        if validator.is_valid(frame):
            return
        error = next(iter(validator.iter_errors(frame)))
        path = ".".join(str(each) for each in error.instance_path) or "the frame"
        said = str(error.message)
        if any(each in path for each in SECRETIVE) or len(said) > 300:  # noqa: PLR2004 (one line)
            said = "has not the form that the schema demands"
        raise FrameError(f"{name.replace('.', ' ')}: {path}: {said}")


@functools.cache
def frames() -> Frames:
    """Load the protocol of this version."""
    folder = room("schemas") / "driver"
    schema = json.loads((folder / "protocol.json").read_text("utf-8"))
    table = json.loads((folder / "errors.json").read_text("utf-8"))
    validators = {}
    for name in schema["$defs"]:
        if name.startswith(("request.", "answer.", "event.")) or name == "error":
            one = {**schema, "$ref": f"#/$defs/{name}"}
            one.pop("$id", None)
            validators[name] = jsonschema_rs.Draft202012Validator(one)
    return Frames(schema["x-protocol-version"], schema, table["errors"], validators)
