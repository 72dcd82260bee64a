"""Scripted handlers: the harness decides what becomes of each delivery."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ampy_conformance.contract.samples import Sample
    from ampy_conformance.suite.bus import Delivery

    Handler = Callable[[Delivery], str | None]

FOR_EVER = 1_000_000


def failing(sample: Sample, times: int = FOR_EVER) -> Handler:
    """Return a handler that fails the first `times` deliveries of `sample` and acks the rest."""
    count = 0

    def handler(delivery: Delivery) -> str:
        nonlocal count
        if delivery.digest != sample.digest:
            return "ack"
        count += 1
        return "fail" if count <= times else "ack"

    return handler


def hanging_on(sample: Sample) -> Handler:
    """Return a handler that never comes to a verdict on `sample` and acks the rest."""

    def handler(delivery: Delivery) -> str | None:
        return None if delivery.digest == sample.digest else "ack"

    return handler
