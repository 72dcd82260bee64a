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


def made(ratio: float, yardstick: float = 100.0) -> ratios.Ratio:
    """Return a figure, taken where the yardstick took so many milliseconds."""
    return ratios.Ratio("x", ratio, ratio * 0.95, ratio * 1.05, 9, yardstick)


def test_a_planted_slowdown_fails():
    past = [figure(20_000) for _ in range(4)]
    _, verdict = ratios.judge(lambda: figure(40_000), past)
    assert verdict.slower


def test_the_same_work_passes_again_and_again():
    past = [figure(20_000) for _ in range(4)]
    assert not any(ratios.judge(lambda: figure(20_000), past)[1].slower for _ in range(5))


def test_one_bad_moment_is_not_confirmed():
    found = iter([made(3.0), made(1.0)])
    best, verdict = ratios.judge(lambda: next(found), [made(1.0), made(1.02), made(0.97)])
    assert not verdict.slower
    assert best.ratio == 1.0


def test_noise_of_the_past_widens_the_limit():
    assert ratios.limit([]) is None
    assert ratios.limit([1.0, 1.0, 1.0]) == 1.25
    assert ratios.limit([1.0, 1.0, 1.4]) > 1.55


def test_without_a_past_nothing_fails():
    assert ratios.judge(lambda: figure(50_000), [])[1].limit is None


def test_a_slower_machine_is_not_slower_code():
    fast, slow = [made(1.1) for _ in range(4)], [made(1.8, 210.0) for _ in range(4)]
    _, verdict = ratios.judge(lambda: made(1.85, 205.0), fast)
    assert verdict.limit is None  # nothing is known of such a machine
    assert not ratios.judge(lambda: made(1.85, 205.0), [*fast, *slow])[1].slower
    # The slow ones do not widen what the fast ones are allowed, nor the other way round.
    assert ratios.judge(lambda: made(1.85), [*fast, *slow])[1].slower
    assert ratios.judge(lambda: made(2.6, 205.0), [*slow, *fast])[1].slower
    assert not ratios.judge(lambda: made(1.85), [made(1.0, 0.0)])[1].slower  # of before it was kept


def test_a_figure_comes_back_out_of_the_history_as_it_was(tmp_path):
    path = tmp_path / "history.jsonl"
    kept = ratios.Ratio("x", 1.5, 1.4, 1.6, 9, 42.0)
    ratios.record([kept], "2026-11-28", "0.1.0", path)
    assert ratios.read(path) == {"x": [kept]}


def test_noisy_figures_are_rarely_told_from_one_another():
    dice = random.Random(1)

    def noisy(slower: float) -> ratios.Ratio:
        each = [slower * dice.lognormvariate(0, 0.3) for _ in range(15)]
        return ratios.of("noisy", each, [1.0] * len(each))

    past = [noisy(1.0) for _ in range(6)]
    wrong = sum(ratios.judge(lambda: noisy(1.0), past)[1].slower for _ in range(200))
    caught = sum(ratios.judge(lambda: noisy(2.5), past)[1].slower for _ in range(200))
    assert wrong == 0
    assert caught == 200
