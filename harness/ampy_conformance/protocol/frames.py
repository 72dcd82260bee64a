"""The frames of the protocol, compiled from their JSON Schema; strict in both directions."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jsonschema_rs

from ampy_conformance._errors import HarnessError
from ampy_conformance.protocol.explain import explain, printable
from ampy_conformance.protocol.schema import Schema, schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sized

COMPILED = ("request.", "answer.", "event.")


class FrameError(HarnessError, ValueError):
    """A frame that breaks the protocol; one sentence that says where."""


@dataclass(frozen=True)
class Frames:
    """Validators of every frame, deadlines of requests, and the table of error codes."""

    schema: Schema
    validators: Mapping[str, Any]
    counted: Mapping[str, Mapping[str, str]]

    @property
    def version(self) -> int:
        """The highest protocol version spoken here."""
        return self.schema.versions[1]

    @property
    def versions(self) -> tuple[int, int]:
        """The lowest and highest protocol version spoken here."""
        return self.schema.versions

    @property
    def operations(self) -> tuple[str, ...]:
        """The names of all requests."""
        return self.schema.names("request")

    def deadline_ms(self, op: str) -> int:
        """Return how many milliseconds the harness waits for the answer to `op`."""
        return int(self.schema.definitions[f"request.{op}"]["x-deadline-ms"])

    def deadline(self, op: str) -> float:
        """Return how many seconds the harness waits for the answer to `op`."""
        return self.deadline_ms(op) / 1000

    def definite(self, code: str) -> bool:
        """Tell whether an error code says that the operation did not happen.

        Every code that the table does not know is indefinite.
        """
        return bool(self.schema.errors.get(code, {}).get("definite", False))

    def expects(self, op: str, request: Mapping[str, Any]) -> dict[str, int]:
        """Return how many items the fields of an answer to this request must have."""
        found: dict[str, int] = {}
        for field, per in self.counted.get(op, {}).items():
            asked: Sized = request.get(per, ())
            found[field] = len(asked)
        return found

    def check_request(self, frame: Mapping[str, Any]) -> None:
        """Check a request; raises `FrameError`."""
        op = frame.get("op")
        if not isinstance(op, str):
            raise FrameError("a request has no op")
        if f"request.{op}" not in self.validators:
            raise FrameError(f"there is no request '{printable(op)}'")
        self._check(f"request.{op}", f"{op} request", frame)

    def check_answer(
        self, op: str, frame: Mapping[str, Any], expects: Mapping[str, int] | None = None
    ) -> None:
        """Check the answer to a request `op`; raises `FrameError`.

        `expects` is what the method of that name gave for the request.
        """
        if frame.get("ok") is False:
            self._check("error", f"{op} answer", frame)
            return
        self._check(f"answer.{op}", f"{op} answer", frame)
        for field, number in (expects or {}).items():
            if len(frame[field]) != number:
                raise FrameError(
                    f"{op} answer: {field}: has {len(frame[field])} items for "
                    f"{number} {self.counted[op][field]}"
                )

    def check_event(self, frame: Mapping[str, Any]) -> None:
        """Check an event; raises `FrameError`."""
        name = frame.get("event")
        if not isinstance(name, str) or f"event.{name}" not in self.validators:
            raise FrameError(f"there is no event '{printable(name)}'")
        self._check(f"event.{name}", f"{name} event", frame)

    def _check(self, name: str, shown: str, frame: Mapping[str, Any]) -> None:
        validator = self.validators[name]
        try:
            if validator.is_valid(frame):
                return
            found = next(iter(validator.iter_errors(frame)))
        except ValueError as error:  # too deep, or no text, for the validator itself
            raise FrameError(f"{shown}: cannot be checked ({printable(str(error))})") from error
        raise FrameError(f"{shown}: {explain(found)}")


@functools.cache
def frames() -> Frames:
    """Compile the protocol of this version."""
    data = schema()
    validators, counted = {}, {}
    for name, definition in data.definitions.items():
        if name.startswith(COMPILED) or name == "error":
            one = {"$ref": f"#/$defs/{name}", "$defs": data.definitions}
            validators[name] = jsonschema_rs.Draft202012Validator(one)
        if name.startswith("answer."):
            fields = definition["properties"].items()
            rules = {field: rule["x-one-per"] for field, rule in fields if "x-one-per" in rule}
            counted[name.removeprefix("answer.")] = rules
    return Frames(data, validators, counted)
