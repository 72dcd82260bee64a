"""The gate on contract changes: every rule by its example, ten prepared changes, bad input."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from ampy_conformance import contract as contracts
from ampy_conformance._errors import ConformError, UsageError
from ampy_conformance._layout import PACKAGE, room
from ampy_conformance.cli import cli
from ampy_conformance.contract import references
from ampy_conformance.contract.registry import SpecError
from ampy_conformance.gate import (
    changes,
    comparison,
    facts,
    payloads,
    relations,
    rules,
    sides,
    version,
)

BESIDE = importlib.util.spec_from_file_location(
    "specedits", Path(__file__).with_name("specedits.py")
)
specedits = importlib.util.module_from_spec(BESIDE)
BESIDE.loader.exec_module(specedits)

SPEC = room("spec")
ROOT = Path(__file__).resolve().parents[2]
KNOWN = rules.load(SPEC)
TODAY = facts.read(SPEC)
BUF = payloads.program(None)
needs_buf = pytest.mark.skipif(BUF is None, reason=f"buf is not there: {payloads.REMEDY}")


def run(*arguments):
    result = CliRunner().invoke(cli, ["spec", "diff", *map(str, arguments)], standalone_mode=False)
    if isinstance(result.exception, ConformError):
        return result.exception.exit_code, str(result.exception)
    if result.exception is not None:
        raise result.exception
    return result.return_value, result.stdout


def diff(*arguments):
    code, output = run(*arguments, "--json")
    data = json.loads(output)
    assert code == data["exit_code"]
    schema = json.loads((room("schemas") / "spec-diff.json").read_text("utf-8"))
    jsonschema.validate(data, schema, cls=jsonschema.Draft202012Validator)
    return data


@pytest.fixture
def spec(tmp_path):
    """Copy the contract's folder to where it may be edited."""
    shutil.copytree(SPEC, tmp_path / "spec")
    return tmp_path / "spec"


def declare(spec, number):
    edit = {"file": "contract.yaml", "at": ["version"], "set": number}
    specedits.apply(spec, edit)


def found(spec, buf=BUF):
    """Return the changes from the packaged contract, without trying records."""
    schemas = [payloads.read((e / payloads.FILE).read_bytes(), str(e)) for e in (SPEC, spec)]
    broken = payloads.compare(*schemas, KNOWN.buf, buf)
    return [*changes.compare(TODAY, facts.read(spec)), *broken]


# -- rules ------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", KNOWN.rules, ids=lambda each: each.id)
def test_every_rule_decides_its_example(rule, spec):
    if rule.example.get("message") and BUF is None and not rule.example.get("without_buf"):
        pytest.skip(f"buf is not there: {payloads.REMEDY}")
    specedits.apply(spec, rule.example)
    contracts.load(spec)  # an example is a contract that parses
    seen = found(spec, None if rule.example.get("without_buf") else BUF)
    read = [rule.example["read"]] if "read" in rule.example else []
    judged = [KNOWN.of(each).id for each in changes.acknowledge(seen, read)]
    assert rule.id in judged
    # What an edit needs besides, so that the contract stays whole, has a rule of its own.
    assert set(judged) == {rule.id} or "also" in rule.example


def test_every_fact_of_the_contract_has_a_rule_of_its_own():
    """Removed or altered, no fact of today's contract is left to the rule for the unknown."""
    entities, left = {}, set()
    for place, fact in TODAY.items():
        owner = place[:2]
        if owner not in entities:
            entities[owner] = facts.tree(TODAY, owner)
        kinds = [("removed", None)]
        if fact.value != place[-1]:  # an element of a set is there or not
            kinds.append(("changed", "other"))
        for kind, after in () if fact.inner else kinds:
            change = changes.Change(place, kind, fact.value, after, "x", 1, entities[owner])
            if len(place) > 1 and KNOWN.of(change) is KNOWN.rules[-1]:
                left.add(change.where)
    assert left == set()


def test_rules_are_checked_when_they_are_read(spec):
    def broken(old, new):
        text = (SPEC / "evolution.yaml").read_text("utf-8")
        assert old in text
        (spec / "evolution.yaml").write_text(text.replace(old, new, 1), "utf-8")
        with pytest.raises(SpecError) as error:
            rules.load(spec)
        return str(error.value)

    assert "EV-HDR-01 stands twice" in broken("id: EV-HDR-02", "id: EV-HDR-01")
    assert "a class is one of" in broken("producers: breaking", "producers: bad")
    assert "the last rule" in broken("at: '**'", "at: nothing")
    assert "unknown field" in broken("producers: breaking", "producer: breaking")


@pytest.mark.slow
def test_no_example_is_contradicted_by_records(tmp_path):
    """Every rule's verdict on its example is tried with the records of both contracts."""
    wrong = []
    for number, rule in enumerate(KNOWN.rules):
        edited = tmp_path / str(number) / "spec"
        shutil.copytree(SPEC, edited)
        specedits.apply(edited, rule.example)
        old, new = (sides.resolve(str(each), tmp_path, repo=Path()) for each in (SPEC, edited))
        result = comparison.compare(old, new, KNOWN, buf=BUF, judges={}, past={})
        wrong += [(rule.id, each.rules, each.refusal) for each in result.contradictions]
    assert wrong == []


# -- how values relate ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "old", "new", "wanted"),
    [
        ("pattern", "[0-9a-f]{32}", "[a-f0-9]{32}", "same"),
        ("pattern", "(?!0{32})[0-9a-f]{32}", "[0-9a-f]{32}", "wider"),
        ("pattern", "[0-9a-f]{32}", "(?!0{32})[0-9a-f]{32}", "narrower"),
        ("pattern", "a|b", "b|c", "other"),
        ("pattern", "(a", "b", "other"),
        ("pattern", "a(?=b)b", "ab", "other"),
        ("terminal", "/[a-z]+/", "/[a-z0-9]+/", "wider"),
        ("terminal", '"a" "." b', '"a" b', "other"),
        ("number", 1, 2, "up"),
        ("number", 2.0, 1, "down"),
        ("number", 1, "x", "other"),
        ("level", "SHOULD", "MUST", "stricter"),
        ("level", "MUST", "MAY", "weaker"),
        ("level", "MUST", "MUST NOT", "other"),
        ("wording", "Retries are bounded.", "Retries are bounded", "same"),
        ("wording", "It is above 128 KiB.", "It is larger than 128 KiB.", "reworded"),
        ("wording", "It is above 128 KiB.", "It is above 64 KiB.", "restated"),
        ("wording", "It is dropped.", "It is never dropped.", "restated"),
        ("wording", "Keys are `a.b`.", "Keys are `b.a`.", "restated"),
        ("wording", "Keys are `a.b`.", "Keys are `a:b`.", "restated"),
        ("wording", "Keys are `a=b`.", "Keys are `A=B`.", "restated"),
        ("wording", "Each record waits.", "Records wait before others.", "restated"),
    ],
)
def test_relations(kind, old, new, wanted):
    assert relations.relation(kind, old, new) == wanted


def test_a_witness_is_taken_by_one_pattern_only():
    value = relations.witness("[0-9a-fA-F]{32}", "(?!0{32})[0-9a-f]{32}")
    assert len(value) == 32
    assert relations.witness("a{3}", "a+") is None
    assert relations.witness(r"\S(.*\S)?", "[a-z]+").isprintable()


@pytest.mark.parametrize(
    ("old", "new", "step"),
    [
        ("1.0.0", "2.0.0-rc.1", "major"),
        ("1.0.0", "1.1.0", "minor"),
        ("1.0.9", "1.0.10", "patch"),
        ("1.0.0", "1.0.0", "none"),
        ("1.1.0", "1.0.9", "backwards"),
    ],
)
def test_declared_steps(old, new, step):
    assert version.declared(old, new) == step


def test_demanded_steps():
    assert version.demanded({"breaking", "additive"}, "1.4.0") == "major"
    assert version.demanded({"breaking"}, "0.4.0") == "minor"
    assert version.demanded({"additive"}, "0.4.0") == "patch"
    assert version.demanded(set(), "1.0.0") == "none"
    assert version.following("1.4.2", "minor") == "1.5.0"
    with pytest.raises(SpecError):
        version.numbers("1.0")


# -- ten prepared changes ---------------------------------------------------------------------

# name, edit, declared version, rule, verdict, exit code
PREPARED = yaml.safe_load((Path(__file__).parent / "prepared_changes.yaml").read_text("utf-8"))


@pytest.mark.parametrize("change", PREPARED, ids=lambda each: each["name"])
def test_prepared_changes(change, spec, monkeypatch):
    if change["rule"].startswith("EV-PAY") and BUF is None and change["verdict"] != "unjudged":
        pytest.skip(f"buf is not there: {payloads.REMEDY}")
    if change["verdict"] == "unjudged":
        monkeypatch.setattr(payloads, "program", lambda _: None)
    specedits.apply(spec, change["edit"])
    declare(spec, change["version"])
    data = diff(SPEC, spec)
    first = data["changes"][0]
    assert first["rule"] == change["rule"]
    assert (first["producers"], first["consumers"]) == (change["producers"], change["consumers"])
    assert (data["verdict"], data["exit_code"]) == (change["verdict"], change["exit"])
    assert data["demanded"] == change["demands"]
    assert set(change["clauses"]) <= set(first["clauses"])
    assert bool(first["shown_by"]) is change["shown"]
    assert data["contradictions"] == []
    judged = references.judges(room("conformance"), SPEC).keys() & set(first["clauses"])
    assert bool(data["touched"]["tests"]) is bool(judged)


def test_the_documentation_shows_the_prepared_changes():
    text = (ROOT / "docs" / "contract-gate.md").read_text("utf-8")
    for each in PREPARED:
        row = (
            f"| {each['says']} | {each['version']} | {each['rule']} | {each['producers']} "
            f"| {each['consumers']} | {each['demands']} | {each['verdict']} ({each['exit']}) |"
        )
        assert row in text


def test_the_same_change_properly_declared_passes(spec):
    specedits.apply(
        spec, {"file": "headers.yaml", "at": ["headers", "span_id", "required"], "set": True}
    )
    assert diff(SPEC, spec)["exit_code"] == 1
    for number, code in (("1.1.0", 1), ("2.0.0-rc.1", 0), ("0.9.0", 1)):
        declare(spec, number)
        contracts.load.__globals__["_load"].cache_clear()  # the folder is the same, its content not
        data = diff(SPEC, spec)
        assert data["exit_code"] == code
    assert "is lower" in data["says"]


def test_nothing_changed():
    data = diff(SPEC)
    assert (data["verdict"], data["exit_code"], data["changes"]) == ("unchanged", 0, [])


def test_editorial_changes_need_declaring_only_when_strict(spec):
    edit = {"file": "clauses/topics.yaml", "at": ["clauses", "TOP-05", "intent"], "set": "Why not?"}
    specedits.apply(spec, edit)
    code, output = run(SPEC, spec)
    assert code == 0
    assert "1.0.1 would say so" in " ".join(output.split())
    assert run(SPEC, spec, "--strict")[0] == 1


def test_a_must_in_other_words_is_breaking_until_somebody_has_read_it(spec):
    at = ["clauses", "SER-04", "text"]
    words = "Payload > 128 KiB is zstd-compressed and marked `content_encoding=gzip`."
    specedits.apply(spec, {"file": "clauses/serialization.yaml", "at": at, "set": words})
    assert diff(SPEC, spec)["changes"][0]["rule"] == "EV-CLS-12"
    data = diff(SPEC, spec, "--reworded", "SER-04")
    assert (data["changes"][0]["rule"], data["exit_code"]) == ("EV-CLS-11", 0)
    code, output = run(SPEC, spec, "--reworded", "SER-05")
    assert (code, "SER-05 did not change" in output) == (2, True)
    specedits.apply(
        spec, {"file": "clauses/serialization.yaml", "at": at, "set": words.replace("128", "64")}
    )
    code, output = run(SPEC, spec, "--reworded", "SER-04")
    assert (code, "that is no rewording" in output) == (2, True)


# -- records against rules --------------------------------------------------------------------


def test_a_rule_that_records_contradict_is_reported(spec, tmp_path, monkeypatch):
    text = (SPEC / "evolution.yaml").read_text("utf-8")
    old = "after: true\n    producers: breaking"
    assert old in text
    wrong = tmp_path / "rules"
    wrong.mkdir()
    (wrong / "evolution.yaml").write_text(
        text.replace(old, "after: true\n    producers: additive"), "utf-8"
    )
    known = rules.load(wrong)
    monkeypatch.setattr(rules, "load", lambda _: known)
    specedits.apply(
        spec, {"file": "headers.yaml", "at": ["headers", "span_id", "required"], "set": True}
    )
    declare(spec, "1.1.0")
    data = diff(SPEC, spec)
    assert (data["verdict"], data["exit_code"]) == ("contradicted", 3)
    assert [each["rules"] for each in data["contradictions"]] == [["EV-HDR-04"]]
    assert data["contradictions"][0]["audience"] == "producers"
    assert "span_id is missing" in data["contradictions"][0]["message"]


@needs_buf
def test_a_payload_that_is_read_in_another_way_is_seen_on_records(spec):
    """Two fields that change places parse without an error, and say something else."""
    specedits.apply(spec, {"message": "ampy.bars.v1.Bar", "field": "volume", "number": 99})
    declare(spec, "2.0.0")
    data = diff(SPEC, spec)
    assert data["verdict"] == "undeclared"  # no version of the contract makes it legal
    assert "TOP-21" in data["says"]
    shown = [one for each in data["changes"] for one in each["shown_by"]]
    assert {each["audience"] for each in shown} >= {"producers"}
    assert any("volume" in each["message"] for each in shown)


@needs_buf
def test_a_new_major_of_a_payload_is_additive(spec):
    edit = {"message": "ampy.bars.v1.Bar", "new_major": "ampy.bars.v2"}
    specedits.apply(spec, edit)
    declare(spec, "1.1.0")
    data = diff(SPEC, spec)
    assert (data["verdict"], data["exit_code"]) == ("declared", 0)
    assert [each["where"] for each in data["changes"]] == ["payloads/ampy.bars.v2"]


@needs_buf
def test_a_shared_payload_touches_every_domain_that_builds_on_it(spec):
    specedits.apply(
        spec, {"message": "ampy.common.v1.SecurityId", "field": "symbol", "remove": True}
    )
    data = diff(SPEC, spec)
    assert {"bars", "ticks", "signals"} <= set(data["changes"][0]["domains"])


# -- what is touched --------------------------------------------------------------------------


def test_what_is_touched(spec):
    specedits.apply(
        spec,
        {"file": "domains.yaml", "at": ["domains", "bars", "key", "form"], "set": "{symbol}.{mic}"},
    )
    data = diff(SPEC, spec, "--reports", ROOT / "reports")
    touched = data["touched"]
    assert {"KEY-bars", "ORD-01"} <= set(touched["clauses"])
    assert any(each.startswith("test_ordering.py::") for each in touched["tests"])
    assert "golden/bars/typical" in touched["envelopes"]["changed"]
    assert "golden/fx/typical" not in touched["envelopes"]["changed"]
    assert touched["reports"]["nats-reference.jsonl"]["ORD-01"] == "pass"


# -- sides ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    """Make a repository: the contract as it is, tagged v1, and then another text."""
    root = tmp_path_factory.mktemp("repo")
    shutil.copytree(SPEC, root / "spec")

    def git(*arguments):
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", str(root), *who, *arguments], check=True, capture_output=True)

    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "one")
    git("tag", "v1")
    specedits.apply(root / "spec", {"file": "contract.yaml", "at": ["envs"], "add": "staging"})
    declare(root / "spec", "1.1.0")
    git("commit", "-qam", "two")
    return root


def test_git_revisions(repo, tmp_path):
    data = diff("v1", "HEAD", "--repo", repo)
    assert (data["verdict"], data["demanded"]) == ("declared", "minor")
    assert [each["where"] for each in data["changes"]] == ["contract/envs/staging"]
    assert diff("git:v1", "--repo", repo)["changes"] == []
    # From a folder within the repository, too.
    assert diff("v1", "HEAD", "--repo", repo / "spec")["verdict"] == "declared"
    assert list(tmp_path.iterdir()) == []


def test_sarif_names_file_and_line(repo):
    code, output = run("v1", "HEAD", "--repo", repo, "--format", "sarif")
    assert code == 0
    log = json.loads(output)
    result = log["runs"][0]["results"][0]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "spec/contract.yaml"
    line = (
        (repo / "spec" / "contract.yaml")
        .read_text("utf-8")
        .splitlines()[place["region"]["startLine"] - 1]
    )
    assert "staging" in line
    assert result["ruleId"] == log["runs"][0]["tool"]["driver"]["rules"][result["ruleIndex"]]["id"]
    assert result["level"] == "note"


def test_an_undeclared_change_is_an_error_in_sarif(spec):
    specedits.apply(spec, {"file": "contract.yaml", "at": ["envs"], "add": "staging"})
    code, output = run(SPEC, spec, "--format", "sarif")
    assert code == 1
    assert [each["level"] for each in json.loads(output)["runs"][0]["results"]] == ["note", "error"]


def test_markdown_shows_hostile_text_harmlessly(spec, tmp_path):
    hostile = "a|b <img src=x onerror=y> `c` [x](http://z)"
    specedits.apply(
        spec, {"file": "clauses/topics.yaml", "at": ["clauses", "TOP-05", "intent"], "set": hostile}
    )
    target = tmp_path / "comment.md"
    code, output = run(SPEC, spec, "--format", "markdown", "-o", target)
    assert code == 0
    text = target.read_text("utf-8")
    assert "<img" not in text
    assert "[x](http" not in text
    assert "| editorial | editorial | EV-CLS-19" in text
    assert str(target) in output


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["no-such-branch", "--repo", "{repo}"], 2, "there is no git revision 'no-such-branch'"),
        (["--repo", "{repo}", "--", "--upload-pack=x"], 2, "there is no git revision"),
        (["main", "--repo", "{empty}"], 2, "is not in a git repository"),
        (["v1", "--repo", "{repo}", "--within", "contract"], 2, "has no folder 'contract'"),
        (["{empty}"], 2, "is not the folder of a contract"),
        (["{file}"], 2, "is no wheel, and no folder"),
        (["{zip}"], 2, "holds neither a contract nor generated payload types"),
        (["requests==2.32.0"], 2, "has no contract"),
        (["", ""], 2, "an empty text"),
        (["{spec}", "--buf", "/no/such/buf"], 2, "is no program"),
        (["{spec}", "--reports", "{empty}"], 2, "there is no report"),
    ],
)
def test_bad_input_is_one_sentence(arguments, code, says, repo, tmp_path):
    empty, file, archive = tmp_path / "empty", tmp_path / "file", tmp_path / "x.whl"
    empty.mkdir()
    file.write_text("hello", "utf-8")
    with zipfile.ZipFile(archive, "w") as wheel:
        wheel.writestr("a.py", "1")
    places = {"repo": repo, "empty": empty, "file": file, "zip": archive, "spec": SPEC}
    got, output = run(*[each.format(**places) for each in arguments])
    assert got == code
    assert says in output
    assert "\n" not in output.strip()


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("headers.yaml", "headers: [", "headers.yaml does not parse"),
        ("headers.yaml", "- 1", "does not have the form of a contract"),
        ("descriptors.binpb", "no descriptors", "is no descriptor set"),
        ("contract.yaml", None, "is not the folder of a contract"),
    ],
)
def test_a_contract_that_does_not_parse(file, text, says, spec):
    if text is None:
        (spec / file).unlink()
    else:
        (spec / file).write_text(text, "utf-8")
    code, output = run(SPEC, spec)
    assert code == 2
    assert says in output


def test_a_version_that_is_none(spec):
    declare(spec, "one")
    specedits.apply(spec, {"file": "contract.yaml", "at": ["envs"], "add": "staging"})
    code, output = run(SPEC, spec)
    assert code == 2
    assert "is no semantic version" in output


def test_buf_that_fails_is_no_verdict(spec, tmp_path):
    fake = tmp_path / "buf"
    fake.write_text("#!/bin/sh\necho boom >&2\nexit 7\n", "utf-8")
    fake.chmod(0o755)
    specedits.apply(spec, {"message": "ampy.bars.v1.Bar", "field": "volume", "type": "string"})
    code, output = run(SPEC, spec, "--buf", fake)
    assert code == 3
    assert "buf failed (exit 7): boom" in output


def wheel_of(spec, path):
    with zipfile.ZipFile(path, "w") as wheel:
        for each in spec.rglob("*"):
            if each.is_file():
                wheel.write(
                    each, f"ampy_conformance/_data/spec/{each.relative_to(spec).as_posix()}"
                )
    return path


def test_wheels_of_this_package(spec, tmp_path):
    specedits.apply(spec, {"file": "contract.yaml", "at": ["envs"], "add": "staging"})
    data = diff(SPEC, wheel_of(spec, tmp_path / "new.whl"))
    assert [each["where"] for each in data["changes"]] == ["contract/envs/staging"]


@needs_buf
def test_payload_packages_are_read_and_never_run(tmp_path):
    """A wheel with generated modules, one of which would leave a trace if it were imported."""
    files = payloads.read((SPEC / payloads.FILE).read_bytes(), "spec")
    trace = tmp_path / "trace"
    for name in ("old", "new"):
        with zipfile.ZipFile(tmp_path / f"{name}.whl", "w") as wheel:
            for file in files.values():
                if file.package.startswith("ampy.") and "control" not in file.package:
                    if name == "new" and file.package == "ampy.news.v1":
                        item = next(e for e in file.message_type if e.name == "NewsItem")
                        del item.field[-1]
                    source = f"open({str(trace)!r}, 'w')\nx.AddSerializedFile({file.SerializeToString()!r})\n"
                    wheel.writestr(f"{file.name.removesuffix('.proto')}_pb2.py", source)
    data = diff(tmp_path / "old.whl", tmp_path / "new.whl")
    assert not trace.exists()
    assert data["declared"] is None
    assert (data["verdict"], data["exit_code"]) == ("undeclared", 1)
    assert [each["rule"] for each in data["changes"]] == ["EV-PAY-01"]
    assert data["changes"][0]["domains"] == ["news"]
    # The contract of this installation against the same schemas: nothing but what the edit did.
    assert diff(SPEC, tmp_path / "old.whl")["changes"] == []


def test_a_side_is_told_by_the_name_that_the_user_gave(tmp_path):
    side = sides.resolve(str(SPEC), tmp_path, repo=Path())
    assert side.name == str(SPEC)
    with pytest.raises(UsageError, match="an empty text"):
        sides.resolve(" ", tmp_path, repo=Path())


def test_the_gate_is_data_for_the_other_rooms():
    """What the exit codes are stands in one table of docs/verdicts.md, and here by name."""
    codes = {"undeclared": 1, "contradicted": 3, "unjudged": 6, "declared": 0, "unchanged": 0}
    text = (ROOT / "docs" / "contract-gate.md").read_text("utf-8")
    for verdict, code in codes.items():
        assert f"| {verdict} | {code} |" in text
    assert comparison.FORMAT in (room("schemas") / "spec-diff.json").read_text("utf-8")
    assert (PACKAGE / "gate").is_dir()
