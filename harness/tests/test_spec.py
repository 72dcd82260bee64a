"""The contract's data: whole, strict, and its checks able to find something."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from ampy_conformance import contract as contracts
from ampy_conformance._errors import ConformError, UsageError
from ampy_conformance._layout import PACKAGE, room
from ampy_conformance.cli import cli
from ampy_conformance.contract import references, speccheck
from ampy_conformance.contract.references import MutantRef, SuiteRef

if TYPE_CHECKING:
    from pathlib import Path

CONTRACT = contracts.load()
TESTS = references.judges(room("conformance"), room("spec"))
MUTANTS = references.mutants(PACKAGE / "mutants")
ROOT = room("golden").parent


def run(*arguments):
    result = CliRunner().invoke(cli, arguments, standalone_mode=False)
    if isinstance(result.exception, ConformError):
        return result.exception.exit_code, str(result.exception)
    if result.exception is not None:
        raise result.exception
    return result.return_value, result.output


@pytest.fixture
def spec(tmp_path):
    """Copy the contract's folder to where it may be damaged."""
    shutil.copytree(room("spec"), tmp_path / "spec")
    return tmp_path / "spec"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def found(spec=None, tests=TESTS, mutants=MUTANTS):
    contract = contracts.load(spec)
    return " | ".join(speccheck.problems(contract, tests, mutants, ROOT))


def test_all_is_well():
    assert found() == ""
    code, output = run("spec", "check")
    assert code == 0
    assert "185 clauses" in output


def test_the_numbers_of_the_contract():
    assert len(CONTRACT.clauses) == 185
    # 66 came with the contract, and what is settled later is added at the end
    assert list(CONTRACT.ambiguities) == [
        f"A-{n:02}" for n in range(1, len(CONTRACT.ambiguities) + 1)
    ]
    assert len(CONTRACT.ambiguities) >= 66
    assert len(CONTRACT.domains) == 14
    assert all(each.intent and each.look for each in CONTRACT.clauses.values())


def test_an_unknown_clause_on_a_test_or_mutant():
    ref = SuiteRef("test_x.py", "test_y", 1, "")
    assert "test_x.py::test_y names XYZ-01" in found(tests={**TESTS, "XYZ-01": [ref]})
    mutant = MutantRef("m", "XYZ-01", "says", "", "m")
    assert "the mutant m names XYZ-01" in found(mutants=[*MUTANTS, mutant])
    untested = MutantRef("m", "SLO-04", "says", "", "m")
    assert "for which there is no test" in found(mutants=[*MUTANTS, untested])


def test_a_clause_said_to_be_verified_that_no_test_names():
    rest = {name: refs for name, refs in TESTS.items() if name != "HDR-01"}
    assert "HDR-01 (MUST) is said to be verified" in found(tests=rest)


def test_a_clause_without_reason_why_no_test_shows_it(spec):
    path = spec / "clauses" / "slo.yaml"
    lines = path.read_text("utf-8").splitlines()
    start = next(n for n, line in enumerate(lines) if "id: SLO-04" in line)
    place = next(n for n in range(start, len(lines)) if lines[n].strip().startswith("reason:"))
    path.write_text("\n".join(lines[:place] + lines[place + 1 :]), "utf-8")
    assert "SLO-04 is attested and gives no reason" in found(spec)


def test_dangling_ambiguities_and_clauses(spec):
    edit(spec / "clauses" / "headers.yaml", "[A-13]", "[A-93]")
    edit(spec / "domains.yaml", "clause: KEY-bars", "clause: KEY-barz")
    edit(spec / "headers.yaml", "additive: A-08", "additive: A-98")
    said = found(spec)
    assert "HDR-01 is settled by A-93" in said
    assert "domains.yaml: bars names the clause KEY-barz" in said
    assert "headers.yaml: original_topic names the ambiguity A-98" in said


def test_generated_files_that_are_out_of_date(spec):
    edit(spec / "headers.yaml", "expects: name@instance", "expects: a name and an instance")
    edit(spec / "golden" / "fx.yaml", "scaled: 14708", "scaled: 14707")
    (spec / "descriptors.binpb").write_bytes(
        (spec / "descriptors.binpb").read_bytes() + b"\x0a\x00"
    )
    said = found(spec)
    assert "golden/fx/typical.json is out of date" in said
    assert "schemas/headers.json is out of date" in said
    assert "descriptors.binpb is out of date" in said


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("clauses/headers.yaml", "level: MUST", "level: SHALL", "level is 'SHALL'"),
        ("clauses/headers.yaml", "id: HDR-02", "id: HDR-01", "stands twice"),
        ("clauses/headers.yaml", "id: HDR-02", "id: TOP-99", "does not belong"),
        ("clauses/headers.yaml", "subject: binding", "subjekt: binding", "unknown field"),
        ("clauses/headers.yaml", "profile: core", "profile: kernel", "profile is 'kernel'"),
        ("clauses/headers.yaml", "clauses:", "clauses: [", "does not parse"),
        ("domains.yaml", "qos: B", "quality: B", "unknown field"),
        ("contract.yaml", "envs:", "environments:", "form of a contract"),
    ],
)
def test_data_that_does_not_parse_is_told_in_one_sentence(spec, file, old, new, says):
    edit(spec / file, old, new)
    with pytest.raises(UsageError) as error:
        contracts.load(spec)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_that_is_no_contract(tmp_path):
    code, said = run("spec", "check", "--spec", str(tmp_path))
    assert code == 2
    assert "not the folder of a contract" in said


def test_markers_are_read_in_every_form(tmp_path):
    (tmp_path / "test_a.py").write_text(
        """
import pytest
IDS = ("HDR-01", ("HDR-02", 1))

@pytest.mark.clause("ORD-01", "ORD-02")
def test_plain(lab):
    '''Say it.'''

@pytest.mark.parametrize("x", [pytest.param(e, marks=pytest.mark.clause(e)) for e in IDS])
def test_looped(lab, x): ...

@pytest.mark.parametrize("x", [pytest.param(e, marks=pytest.mark.clause(f"KEY-{e}")) for e in ("fx",)])
def test_prefixed(lab, x): ...
""",
        "utf-8",
    )
    seen = references.tests(tmp_path)
    assert set(seen) == {"ORD-01", "ORD-02", "HDR-01", "HDR-02", "KEY-fx"}
    assert seen["ORD-01"][0].doc == "Say it."


def test_what_the_references_say_is_what_pytest_collects(tmp_path):
    """The static reading of markers must not promise a test that pytest does not run."""
    probe = tmp_path / "probe.py"
    probe.write_text(
        "import json, os\n"
        "def pytest_configure(config):\n"
        "    config.addinivalue_line('markers', 'clause(*ids): x')\n"
        "def pytest_collection_finish(session):\n"
        "    ids = {a for i in session.items for m in i.iter_markers('clause') for a in m.args}\n"
        "    open(os.environ['PROBE'], 'w').write(json.dumps(sorted(ids)))\n",
        "utf-8",
    )
    suite = room("conformance")
    environment = {**os.environ, "PROBE": str(tmp_path / "ids.json"), "PYTHONPATH": str(tmp_path)}
    line = [sys.executable, "-B", "-m", "pytest", "-p", "probe", "-p", "no:cacheprovider"]
    line += ["-q", "--collect-only", "-c", str(suite / "pytest.ini"), str(suite)]
    subprocess.run(line, env=environment, check=True, capture_output=True, cwd=tmp_path)
    collected = set(json.loads((tmp_path / "ids.json").read_text("utf-8")))
    assert collected == set(references.tests(suite))


# -- explain ----------------------------------------------------------------------------


def test_every_clause_and_ambiguity_can_be_explained():
    for name in (
        *list(CONTRACT.clauses)[::9],
        *list(CONTRACT.ambiguities)[::13],
        "ORD",
        "key-BARS",
        "profiles",
    ):
        code, output = run("explain", name)
        assert code == 0
        assert len(output.splitlines()) >= 3


def test_an_explanation_names_tests_mutants_and_where_to_look():
    facts = json.loads(run("explain", "DLQ-05", "--json")[1])
    assert facts["tests"]
    assert [each["name"] for each in facts["mutants"]] == ["dlq-05-signs-as-the-router"]
    assert facts["look"]
    assert {each["id"] for each in facts["ambiguities"]} == set(
        CONTRACT.clauses["DLQ-05"].ambiguities
    )


def test_a_name_that_is_almost_right_is_helped():
    code, said = run("explain", "ORD-1")
    assert code == 2
    assert "ORD-01" in said
    assert run("explain", "qwertz")[0] == 2


def test_every_must_with_a_test_has_a_mutant():
    _, output = run("spec", "coverage", "--json")
    assert json.loads(output)["must_without_mutant"] == []
