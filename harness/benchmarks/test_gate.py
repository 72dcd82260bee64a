"""The gate can fail, and does not cry wolf."""

from __future__ import annotations

import random
import time

import ratios


def busy(turns: int) -> None:
    """Do work that nothing can optimize away."""
    text = b""
    for each in range(turns):
        text = (text + bytes((each & 255,)))[-64:]


def figure(turns: int, rounds: int = 9) -> ratios.Ratio:
    """Measure so much work against a fixed piece of it, for real."""
    subject, yardstick = [], []
    for _ in range(rounds):
        for times, work in ((yardstick, 20_000), (subject, turns)):
            began = time.process_time()
            busy(work)
            times.append(time.process_time() - began)
    return ratios.of("busy", subject, yardstick)


def test_a_planted_slowdown_fails():
    past = [figure(20_000).ratio for _ in range(4)]
    _, verdict = ratios.judge(lambda: figure(40_000), past)
    assert verdict.slower


def test_the_same_work_passes_again_and_again():
    past = [figure(20_000).ratio for _ in range(4)]
    assert not any(ratios.judge(lambda: figure(20_000), past)[1].slower for _ in range(5))


def test_one_bad_moment_is_not_confirmed():
    found = iter([ratios.Ratio("x", 3.0, 2.9, 3.1, 9), ratios.Ratio("x", 1.0, 0.9, 1.1, 9)])
    best, verdict = ratios.judge(lambda: next(found), [1.0, 1.02, 0.97])
    assert not verdict.slower
    assert best.ratio == 1.0


def test_noise_of_the_past_widens_the_limit():
    assert ratios.limit([]) is None
    assert ratios.limit([1.0, 1.0, 1.0]) == 1.25
    assert ratios.limit([1.0, 1.0, 1.4]) > 1.55


def test_without_a_past_nothing_fails():
    assert ratios.judge(lambda: figure(50_000), [])[1].limit is None


def test_noisy_figures_are_rarely_told_from_one_another():
    dice = random.Random(1)

    def noisy(slower: float) -> ratios.Ratio:
        each = [slower * dice.lognormvariate(0, 0.3) for _ in range(15)]
        return ratios.of("noisy", each, [1.0] * len(each))

    past = [noisy(1.0).ratio for _ in range(6)]
    wrong = sum(ratios.judge(lambda: noisy(1.0), past)[1].slower for _ in range(200))
    caught = sum(ratios.judge(lambda: noisy(2.5), past)[1].slower for _ in range(200))
    assert wrong == 0
    assert caught == 200
