"""Actions and workflows: their scripts run here, with real verdicts, and nothing broken is green."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ampy_conformance._layout import cache
from ampy_conformance.cli.spec import command as spec_command

GITHUB = Path(__file__).resolve().parents[2] / ".github"
ACTIONS = {each.parent.name: each for each in sorted(GITHUB.glob("actions/*/action.yml"))}
WORKFLOWS = sorted(GITHUB.glob("workflows/*.yml"))
MUTANT = "py:ampy_conformance.mutants.hdr_01_random_uuid:Driver"
ACTIONLINT = "v1.7.12"
PINNED = re.compile(r"[\w.-]+/[\w./-]+@(v\d+\.\d+\.\d+|[0-9a-f]{40})")


def load(path):
    return yaml.safe_load(path.read_text("utf-8"))


def steps():
    """Yield (file, step) of all actions and workflows."""
    for path in ACTIONS.values():
        for each in load(path)["runs"]["steps"]:
            yield path, each
    for path in WORKFLOWS:
        for job in load(path)["jobs"].values():
            for each in job["steps"]:
                yield path, each


# -- how they are written ---------------------------------------------------------------


def test_there_are_two_actions_and_their_inputs_and_outputs_are_described():
    assert set(ACTIONS) == {"certify", "spec-gate"}
    for path in ACTIONS.values():
        action = load(path)
        assert action["name"]
        for each in (*action["inputs"].values(), *action["outputs"].values()):
            assert each["description"]
    inputs = load(ACTIONS["certify"])["inputs"]
    assert {"driver", "broker", "profiles", "faults", "known-failures", "seed"} <= set(inputs)
    assert {"verdict", "report"} <= set(load(ACTIONS["certify"])["outputs"])


def test_no_input_becomes_part_of_a_command():
    for path, step in steps():
        assert "${{" not in step.get("run", ""), path
        if path in ACTIONS.values() and "run" in step:
            assert step["shell"] == "bash"


def test_every_input_reaches_the_script():
    for path in ACTIONS.values():
        action = load(path)
        text = yaml.safe_dump(action["runs"])
        for name in action["inputs"]:
            assert f"inputs.{name}" in text, f"{path}: nobody reads {name}"


def test_what_is_used_of_others_is_pinned_and_workflows_may_do_nothing_by_default():
    for path, step in steps():
        used = step.get("uses", "")
        assert not used or used.startswith("./") or PINNED.fullmatch(used), f"{path}: {used}"
        if used.startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
    for path in WORKFLOWS:
        assert load(path)["permissions"] == {}, path
        for job in load(path)["jobs"].values():
            assert job["timeout-minutes"]
            assert set(job["permissions"].values()) == {"read"}


def test_forms_ask_for_what_the_contract_asks_for():
    forms = [each for each in GITHUB.glob("ISSUE_TEMPLATE/*.yml") if each.name != "config.yml"]
    assert len(forms) == 3
    for path in forms:
        form = load(path)
        assert form["name"]
        assert form["description"]
        ids = [each["id"] for each in form["body"]]
        assert len(set(ids)) == len(ids)
        for each in form["body"]:
            assert each["type"] in ("dropdown", "input", "textarea")
            assert each["attributes"]["label"]
    change = (GITHUB / "ISSUE_TEMPLATE" / "contract-change.yml").read_text("utf-8")
    template = (GITHUB / "pull_request_template.md").read_text("utf-8")
    for text in (change, template):  # section 23
        assert re.search(r"golden envelopes", text, re.IGNORECASE)
        assert "spec diff" in text
        assert "new domain" in text


@pytest.mark.slow
def test_actionlint_has_nothing_to_say():
    program = shutil.which("actionlint") or _actionlint()
    line = [program, "-no-color", *map(str, WORKFLOWS)]
    done = subprocess.run(line, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def _actionlint():
    """Build actionlint once, with Go."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("actionlint is not here, nor is Go to build it")
    folder = cache(f"actionlint-{ACTIONLINT}")
    if not (folder / "actionlint").exists():
        made = subprocess.run(
            [go, "install", f"github.com/rhysd/actionlint/cmd/actionlint@{ACTIONLINT}"],
            check=False, capture_output=True, text=True, env={**os.environ, "GOBIN": str(folder)},
        )  # fmt: skip
        if made.returncode:
            pytest.skip(f"actionlint cannot be built here: {made.stderr.strip()[-200:]}")
    return str(folder / "actionlint")


# -- what they do -----------------------------------------------------------------------


@pytest.fixture
def step(tmp_path):
    """Return a function that runs a script as the runner would: (code, outputs, summary, text)."""
    home = tmp_path / "workspace"
    home.mkdir()

    def run(script, programs=None, **values):
        out, summary = tmp_path / "output", tmp_path / "summary"
        for each in (out, summary):
            each.write_text("", "utf-8")
        path = [str(programs)] if programs else []
        path += [str(Path(sys.executable).parent), os.environ["PATH"]]
        done = subprocess.run(
            ["bash", str(GITHUB / "actions" / script)],
            check=False, capture_output=True, text=True, cwd=home, timeout=300,
            env={
                **os.environ, "PATH": os.pathsep.join(path), "GITHUB_OUTPUT": str(out),
                "GITHUB_STEP_SUMMARY": str(summary), **values,
            },
        )  # fmt: skip
        lines = [each.partition("=") for each in out.read_text("utf-8").splitlines()]
        outputs = {name: value for name, _, value in lines}
        return done.returncode, outputs, summary.read_text("utf-8"), done.stdout + done.stderr

    run.home = home
    return run


def fake(folder, body):
    """Put a program in the place of ampy-conform."""
    folder.mkdir(exist_ok=True)
    program = folder / "ampy-conform"
    program.write_text(f"#!/usr/bin/env bash\n{body}\n", "utf-8")
    program.chmod(0o755)
    return folder


def test_a_binding_that_passes(step):
    code, outputs, summary, text = step(
        "certify/certify.sh", DRIVER="mem", CLAUSES="HDR-01, HDR-08", SEED="3"
    )
    assert (code, outputs["verdict"], outputs["exit-code"]) == (0, "selection-passed", "0"), text
    assert "## ampy-conform: selection-passed" in summary
    assert "seed 3" in " ".join(text.split())
    assert (step.home / outputs["report"]).is_file()
    assert (step.home / "ampy-conform-report" / "report.xml").is_file()


def test_a_binding_that_fails(step):
    code, outputs, summary, text = step("certify/certify.sh", DRIVER=MUTANT, CLAUSES="HDR-01")
    assert (code, outputs["verdict"], outputs["exit-code"]) == (1, "not-conformant", "1")
    assert "not-conformant" in summary
    assert "::error title=ampy-conform::not-conformant (exit 1)" in text
    assert (step.home / outputs["report"]).is_file()


def test_a_failure_that_is_known_is_no_failure_and_a_stale_one_is(step):
    known = step.home / "known.yaml"
    entry = "- clause: HDR-01\n  issue: https://example.org/1\n  expires: 2099-01-01\n"
    known.write_text(f"{entry}  signature: records on the wire break it\n", "utf-8")
    given = {"CLAUSES": "HDR-01", "KNOWN_FAILURES": "known.yaml"}
    code, outputs, _, text = step("certify/certify.sh", DRIVER=MUTANT, **given)
    assert (code, outputs["verdict"]) == (0, "selection-passed"), text
    code, outputs, _, _ = step("certify/certify.sh", DRIVER="mem", **given)
    assert (code, outputs["verdict"]) == (5, "stale-known-failure")


@pytest.mark.parametrize(
    "values",
    [
        {"DRIVER": ""},
        {"DRIVER": "--help"},
        {"DRIVER": "--version"},
        {"DRIVER": "no-such-binding"},
        {"DRIVER": "mem", "SEED": "seven"},
        {"DRIVER": "mem", "SEED": "--help"},
        {"DRIVER": "mem", "STRICT": "yes"},
        {"DRIVER": "mem", "DEDICATED_BROKER": "maybe"},
        {"DRIVER": "mem", "PROFILES": "--help"},
        {"DRIVER": "mem", "PROFILES": "cores"},
        {"DRIVER": "mem", "CLAUSES": "HDR-99"},
        {"DRIVER": "mem", "KNOWN_FAILURES": "no-such-file.yaml"},
        {"DRIVER": "mem", "BROKER": "nonsense"},
        {"DRIVER": "mem", "REPORT_FOLDER": "a\nverdict=conformant"},
        {"DRIVER": "mem", "REPORT_FOLDER": "$(touch pwned)"},
        {"DRIVER": "mem; touch pwned"},
        {"DRIVER": "$(touch pwned)"},
        {"DRIVER": "mem", "CLAUSES": "$(touch pwned) `touch pwned` *"},
        {"DRIVER": "mem", "SEED": "1;touch pwned"},
    ],
)
def test_what_is_badly_set_up_is_never_green_and_never_run(step, values):
    code, outputs, _, text = step("certify/certify.sh", **values)
    assert code in (2, 3, 4), text
    assert outputs["verdict"] in ("usage", "failure", "nothing-ran")
    assert not list(step.home.rglob("pwned"))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("exit 0", 3),  # all is well, it says, and leaves no report
        ("exit 139", 139),
        ("kill -9 $$", 137),
        ('for each; do case $each in --report=*) echo "{}" >"${each#*=}";; esac; done; exit 0', 3),
    ],
)
def test_a_suite_that_breaks_off_is_never_green(step, tmp_path, body, code):
    found, outputs, summary, _ = step(
        "certify/certify.sh", programs=fake(tmp_path / "bin", body), DRIVER="mem"
    )
    assert found == code
    assert outputs["verdict"] == "failure"
    assert "failure" in summary


def test_a_report_that_says_otherwise_is_no_verdict(step, tmp_path):
    step("certify/certify.sh", DRIVER=MUTANT, CLAUSES="HDR-01")
    failed = step.home / "ampy-conform-report" / "report.jsonl"
    kept = tmp_path / "kept.jsonl"
    shutil.copyfile(failed, kept)
    body = f'for each; do case $each in --report=*) cp "{kept}" "${{each#*=}}";; esac; done'
    code, outputs, summary, _ = step(
        "certify/certify.sh", programs=fake(tmp_path / "bin", body), DRIVER="mem"
    )
    assert (code, outputs["verdict"]) == (3, "failure")
    assert "the report says 1, the command ended with 0" in summary


def test_an_old_report_does_not_speak_for_a_new_run(step):
    step("certify/certify.sh", DRIVER="mem", CLAUSES="HDR-01")
    code, outputs, _, _ = step("certify/certify.sh", DRIVER="mem", CLAUSES="HDR-99")
    assert code != 0
    assert "report" not in outputs


@pytest.mark.parametrize(
    ("body", "code", "verdict"),
    [
        ('echo "## none" >"$file"; exit 0', 0, "declared"),
        ('echo "## breaking" >"$file"; exit 1', 1, "undeclared"),
        ("exit 2", 2, "usage"),
        ("exit 3", 3, "failure"),
        ('echo "## no buf" >"$file"; exit 6', 6, "inconclusive"),
        ("exit 0", 3, "failure"),  # nothing was written
        ("kill -9 $$", 137, "failure"),
    ],
)
def test_the_gate_passes_only_what_is_declared(step, tmp_path, body, code, verdict):
    find = "while [[ $1 != --output ]]; do shift; done; file=$2; [[ $file == *.md ]] || exit 0\n"
    found, outputs, summary, text = step(
        "spec-gate/gate.sh", programs=fake(tmp_path / "bin", find + body), BASE="main", HEAD="HEAD"
    )
    assert (found, outputs["verdict"], outputs["exit-code"]) == (code, verdict, str(code)), text
    assert "## " in summary


@pytest.mark.parametrize(
    "values",
    [
        {"BASE": "", "HEAD": "HEAD"},
        {"BASE": "main", "HEAD": ""},
        {"BASE": "--help", "HEAD": "HEAD"},
        {"BASE": "main;touch pwned", "HEAD": "HEAD"},
        {"BASE": "main", "HEAD": "$(touch pwned)"},
        {"BASE": "main", "HEAD": "HEAD", "SPEC_FOLDER": "-x"},
        {"BASE": "main", "HEAD": "HEAD", "STRICT": "perhaps"},
    ],
)
def test_a_gate_that_is_badly_set_up_is_never_green(step, values):
    code, outputs, _, _ = step("spec-gate/gate.sh", **values)
    assert (code, outputs["verdict"]) == (2, "usage")
    assert not list(step.home.rglob("pwned"))


@pytest.mark.skipif("diff" not in spec_command.commands, reason="`spec diff` is not there")
def test_the_gate_on_real_revisions(step):
    """Nothing changed; then a header loses its pattern's freedom without a new version."""

    def git(*line):
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        subprocess.run(["git", "-C", str(step.home), *who, *line], check=True, capture_output=True)

    from ampy_conformance._layout import room  # noqa: PLC0415 (only this test needs it)

    shutil.copytree(room("spec"), step.home / "spec")
    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-qm", "one")
    git("commit", "-qm", "two", "--allow-empty")
    code, outputs, summary, text = step("spec-gate/gate.sh", BASE="HEAD~1", HEAD="HEAD")
    assert (code, outputs["verdict"]) == (0, "declared"), text
    headers = step.home / "spec" / "headers.yaml"
    old = headers.read_text("utf-8")
    new = old.replace(
        "  - name: dedupe_key\n    required: false", "  - name: dedupe_key\n    required: true", 1
    )
    assert new != old
    headers.write_text(new, "utf-8")
    git("commit", "-qam", "three")
    code, outputs, summary, text = step("spec-gate/gate.sh", BASE="HEAD~1", HEAD="HEAD")
    assert (code, outputs["verdict"]) == (1, "undeclared"), text
    assert "dedupe_key" in summary
    assert (step.home / "ampy-conform-gate" / "spec-diff.sarif").is_file()
    code, outputs, _, _ = step("spec-gate/gate.sh", BASE="no-such-revision", HEAD="HEAD")
    assert (code, outputs["verdict"]) == (2, "usage")


def test_the_installation_refuses_options(step):
    for values in ({"SUITE": "--index-url=x"}, {"EXTRAS": "history] evil"}, {"EXTRAS": "$(id)"}):
        code, _, _, text = step("shared/install.sh", **values)
        assert code == 2, text
