"""Confidence intervals: exact ones for a share of real-valued size, and bootstrapped ones.

Nothing here knows what the numbers mean. The interval of Clopper and Pearson is written with the
incomplete beta function, so that the size of the sample need not be an integer: an effective size
(Korn and Graubard, 1998) is none.
"""

from __future__ import annotations

import math
import random
import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TINY = 1e-300
TERMS = 400
HALVINGS = 60


def beta_cdf(x: float, a: float, b: float) -> float:
    """Return the regularized incomplete beta function: P(X <= x) for X ~ Beta(a, b)."""
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    # The continued fraction converges quickly on this side of the mean only.
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _fraction(x, a, b) / a
    return 1.0 - front * _fraction(1.0 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """Evaluate the continued fraction of the incomplete beta function (Lentz's method)."""
    c, d = 1.0, 1.0 / _away(1.0 - (a + b) * x / (a + 1.0))
    value = d
    for m in range(1, TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1.0 / _away(1.0 + term * d)
            c = _away(1.0 + term / c)
            step = c * d
            value *= step
        if abs(step - 1.0) < 1e-13:
            break
    return value


def _away(value: float) -> float:
    """Keep a denominator away from zero."""
    return value if abs(value) > TINY else TINY


def beta_quantile(p: float, a: float, b: float) -> float:
    """Return the x with P(X <= x) = p for X ~ Beta(a, b), by bisection."""
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if beta_cdf(middle, a, b) < p:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def clopper_pearson(count: float, size: float, alpha: float) -> tuple[float, float]:
    """Return one-sided bounds (lower, upper) of a share, each wrong with probability `alpha`.

    `count` of `size` trials succeeded; neither need be an integer, 0 <= count <= size.
    """
    if size <= 0:
        return 0.0, 1.0
    low = 0.0 if count <= 0 else beta_quantile(alpha, count, size - count + 1)
    high = 1.0 if count >= size else beta_quantile(1 - alpha, count + 1, size - count)
    return low, high


def clustered_upper(sizes: Sequence[int], alpha: float, another: float = 1.0) -> float:
    """Return an upper bound of the expected total of events that come in clusters of these sizes.

    Clusters come independently of one another; how many come, and how large they are, is chance.
    The gamma interval of Fay and Feuer (1997) for a weighted sum of Poisson counts: one more cluster
    might have come, as large as the largest, and at least of `another`. Its quantile is that of
    Wilson and Hilferty: from two degrees of freedom on within three percent, on the safe side.
    """
    if not sizes:
        return -math.log(alpha) * another
    largest = max(*sizes, another)
    total = sum(sizes) + largest
    squares = sum(each**2 for each in sizes) + largest**2
    freedom = 2 * total**2 / squares
    spread = 2 / (9 * freedom)
    z = statistics.NormalDist().inv_cdf(1 - alpha)
    return total * (1 - spread + z * math.sqrt(spread)) ** 3


def bootstrap(
    draw: Callable[[random.Random], float], *, times: int, alpha: float, seed: int
) -> tuple[float, float]:
    """Return the percentile interval (two-sided, `alpha` in all) of a resampled statistic."""
    rng = random.Random(seed)
    found = sorted(draw(rng) for _ in range(times))
    edge = min(times - 1, int(times * alpha / 2))
    return found[edge], found[times - 1 - edge]


def median_interval(
    values: Sequence[float], *, alpha: float = 0.05, seed: int = 0, times: int = 1000
) -> tuple[float, float, float]:
    """Return the median of independent values with its bootstrap interval; at least one value."""

    def draw(rng: random.Random) -> float:
        return statistics.median(rng.choices(values, k=len(values)))

    return (statistics.median(values), *bootstrap(draw, times=times, alpha=alpha, seed=seed))


def ratio_interval(
    over: Sequence[float],
    under: Sequence[float],
    *,
    alpha: float = 0.05,
    seed: int = 0,
    times: int = 1000,
) -> tuple[float, float, float]:
    """Return median(over) / median(under) with its bootstrap interval; both sides resampled."""

    def draw(rng: random.Random) -> float:
        below = statistics.median(rng.choices(under, k=len(under)))
        return statistics.median(rng.choices(over, k=len(over))) / below if below else math.inf

    below = statistics.median(under)
    ratio = statistics.median(over) / below if below else math.inf
    return (ratio, *bootstrap(draw, times=times, alpha=alpha, seed=seed))
