"""The temporal properties: nobody is accused who has done nothing, and nothing is overlooked.

Each property is said twice, in SQL and plainly (`brute.py`), and the two must agree on thousands
of small histories, lawful and not, of which enough give it a chance, and enough break it.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

SPEC = importlib.util.spec_from_file_location("differ", Path(__file__).with_name("differ.py"))
differ = sys.modules["differ"] = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(differ)
legal, planted, varied = (differ.beside(name) for name in ("legal", "planted", "varied"))

NAMES = [each.name for each in differ.PROPERTIES]
STATISTICS = {each.name for each in differ.PROPERTIES if each.severity == "statistic"}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """Judge all planted histories at once: properties do not look across scopes."""
    histories = []
    for number, (_, _, sound, broken) in enumerate(planted.ALL):
        histories.append(planted.numbered(f"sound {number}", sound))
        histories.append(planted.numbered(f"broken {number}", broken))
    for number, (_, _, rows) in enumerate(planted.SOUND):
        histories.append(planted.numbered(f"lawful {number}", rows))
    path = tmp_path_factory.mktemp("planted") / "h.jsonl"
    return differ.judged(path, histories), differ.stated(histories)


def test_every_property_has_a_plain_statement_and_planted_violations():
    assert sorted(differ.brute.STATED) == NAMES
    assert sorted(planted.PLANTED) == NAMES
    assert sorted({name for name, *_ in planted.ALSO}) == NAMES, (
        "each can be broken in several ways"
    )


@pytest.mark.parametrize(
    "number",
    range(len(planted.ALL)),
    ids=[f"{name} {how}".strip() for name, how, *_ in planted.ALL],
)
def test_a_planted_violation_is_found_and_its_sound_twin_is_not(verdicts, number):
    both, name = {f"sound {number}", f"broken {number}"}, planted.ALL[number][0]
    for covered, violated in (each[name] for each in verdicts):
        assert violated & both == {f"broken {number}"}
        assert covered & both == both


@pytest.mark.parametrize(
    "number", range(len(planted.SOUND)), ids=[f"{name} {what}" for name, what, _ in planted.SOUND]
)
def test_what_a_correct_binding_may_do_is_not_held_against_it(verdicts, number):
    for found in verdicts:
        accused = {name for name, (_, violated) in found.items() if f"lawful {number}" in violated}
        assert planted.SOUND[number][0] not in accused
    # The two may not even differ on what else may be said of such a small piece of a history.
    assert accused == {n for n, (_, v) in verdicts[0].items() if f"lawful {number}" in v}


def test_two_thousand_lawful_histories_are_not_accused(tmp_path):
    """Nor is a property idle: each had its chance in many of them."""
    histories = [legal.legal(seed) for seed in range(2000)]
    histories += [varied.pauses(seed, lawful=True) for seed in range(100)]
    found = differ.judged(tmp_path / "h.jsonl", histories)
    accused = {
        name: sorted(v)[:3] for name, (_, v) in found.items() if v and name not in STATISTICS
    }
    assert accused == {}
    assert {name: len(c) for name, (c, _) in found.items() if len(c) < 50} == {}


def _agree(path, histories, least):
    """Compare both statements of all properties; each must hold, and be broken, so often at least."""
    one, other = differ.judged(path, histories), differ.stated(histories)
    for name in NAMES:
        for what, a, b in zip(("chance", "violation"), one[name], other[name], strict=True):
            if a != b:
                scope = min(a ^ b)
                rows = next(each for each in histories if each[0]["case"] == scope)
                small = differ.shrunk(path, rows, name, what)
                says = "SQL" if scope in a else "the plain statement"
                text = "\n".join(str(each) for each in small)
                pytest.fail(f"{name}: only {says} sees a {what} in {scope}:\n{text}")
    covered = {name: len(c - v) for name, (c, v) in one.items()}
    violated = {name: len(v) for name, (_, v) in one.items()}
    assert {name: n for name, n in covered.items() if n < least} == {}, "seldom covered and holding"
    assert {name: n for name, n in violated.items() if n < least} == {}, "seldom violated"


def test_histories_of_bindings_with_bugs_are_judged_as_the_plain_statements_judge_them(tmp_path):
    """Five thousand histories, most of them unlawful."""
    histories = [legal.spoiled(seed) for seed in range(10_000, 11_500)]
    histories += [varied.planted(seed, planted.ALL, legal) for seed in range(3300)]
    histories += [varied.pauses(seed) for seed in range(150)]
    _agree(tmp_path / "h.jsonl", histories, least=30)


def test_soups_of_events_are_judged_as_the_plain_statements_judge_them(tmp_path):
    """Histories that no binding has: few names, everything with everything, facts that are absent."""
    histories = []

    @settings(max_examples=1500, database=None, derandomize=True, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(varied.soups())
    def collect(rows):
        scope = f"soup {len(histories)}"
        histories.append(
            [{**each, "case": scope, "seq": number} for number, each in enumerate(rows)]
        )

    collect()
    _agree(tmp_path / "h.jsonl", histories, least=0)
