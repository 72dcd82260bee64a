"""A binding's metrics, read as a user's tooling would read them: Prometheus text, by name and label."""

from __future__ import annotations

import math
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prometheus_client.parser import text_string_to_metric_families

from ampy_conformance.suite.verdicts import Inconclusive

if TYPE_CHECKING:
    from collections.abc import Mapping

SECONDS = 5.0


@dataclass(frozen=True)
class Series:
    """One time series: its name in Prometheus' form, its labels, its value now."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Scrape:
    """All series at one moment; names may be asked for with dots (A-42)."""

    series: tuple[Series, ...]
    kinds: Mapping[str, str]

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Scrape:
        """Read the answer to a `metrics` frame: the text itself, or where it is served."""
        text = answer.get("text")
        if text is None:
            url = answer.get("url", "")
            try:
                with urllib.request.urlopen(url, timeout=SECONDS) as reply:  # noqa: S310 (the driver's own)
                    text = reply.read().decode("utf-8", "replace")
            except (OSError, ValueError) as error:
                raise Inconclusive(f"control: the metrics cannot be scraped: {error}") from error
        kinds, found = {}, []
        try:
            for family in text_string_to_metric_families(text):
                for each in family.samples:
                    kinds[each.name] = family.type
                    found.append(Series(each.name, dict(each.labels), float(each.value)))
        except ValueError as error:
            says = f"control: the metrics are no Prometheus text: {error}"
            raise Inconclusive(says) from error
        return cls(tuple(found), kinds)

    def find(self, name: str, **labels: str) -> list[Series]:
        """Return the series of a name whose labels have these values; other labels are tolerated."""
        name = name.replace(".", "_")
        return [
            each
            for each in self.series
            if each.name == name
            and all(each.labels.get(label) == value for label, value in labels.items())
        ]

    def total(self, name: str, **labels: str) -> float:
        """Return the sum over the series of a name with these labels; 0 where there is none."""
        return math.fsum(each.value for each in self.find(name, **labels))

    def kind(self, name: str) -> str | None:
        """Return the Prometheus type under which a series of this name is exported."""
        return self.kinds.get(name.replace(".", "_"))


def grown(before: Scrape, after: Scrape, name: str, **labels: str) -> float:
    """Return by how much a counter has grown: counters are per process and begin anywhere."""
    return after.total(name, **labels) - before.total(name, **labels)
