"""The fixture that measures a ratio and holds it to the history, and `--record`."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest
import ratios

from ampy_conformance import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what decides whether the figures of this run are kept."""
    parser.addoption(
        "--record", action="store_true", help="append this run's ratios to history.jsonl"
    )


@pytest.fixture(scope="session")
def measured(request: pytest.FixtureRequest) -> Iterator[list[ratios.Ratio]]:
    """Collect the figures of the run; print them, and keep them where that was asked for."""
    found: list[ratios.Ratio] = []
    yield found
    if request.config.getoption("--record"):
        ratios.record(found, dt.datetime.now(dt.UTC).date().isoformat(), __version__)


@pytest.fixture
def ratio(
    request: pytest.FixtureRequest, benchmark: Any, measured: list[ratios.Ratio]
) -> Callable[..., ratios.Ratio]:
    """Return what measures a subject against a yardstick, both in turns, and judges the ratio.

    Both are called without arguments and do the same number of operations, or `times` says how
    many times as many the yardstick does. `clock`: CPU of the processes at work, wall where waiting counts.
    """
    name = request.node.name.removeprefix("test_")

    def take(
        subject: Callable[[], object],
        yardstick: Callable[[], object],
        *,
        clock: Callable[[], float],
        rounds: int = 15,
        times: float = 1.0,
    ) -> ratios.Ratio:
        yard: list[float] = []

        def timed(work: Callable[[], object]) -> float:
            began = clock()
            work()
            return clock() - began

        def setup() -> None:
            yard.append(timed(yardstick) / times)

        def first() -> ratios.Ratio:
            if not benchmark.stats:
                benchmark.pedantic(subject, setup=setup, rounds=rounds, iterations=1)
                return ratios.of(name, benchmark.stats.stats.data, yard)
            again = [(timed(yardstick) / times, timed(subject)) for _ in range(rounds)]
            return ratios.of(name, [b for _, b in again], [a for a, _ in again])

        subject(), yardstick()
        benchmark._timer = clock
        found, verdict = ratios.judge(first, ratios.read().get(name, []))
        measured.append(found)
        benchmark.extra_info["ratio"] = [
            round(each, 3) for each in (found.low, found.ratio, found.high)
        ]
        allowed = (
            "not judged: the history has no machine like this one"
            if verdict.limit is None
            else f"at most {verdict.limit:.2f}"
        )
        print(f"\n{name}: {found.ratio:.2f} [{found.low:.2f}, {found.high:.2f}], {allowed}")
        if verdict.slower:
            assert verdict.limit is not None
            pytest.fail(
                f"{name} takes {found.ratio:.2f} [{found.low:.2f}, {found.high:.2f}] times its "
                f"yardstick, thrice measured; the history allows {verdict.limit:.2f}",
                pytrace=False,
            )
        return found

    return take
