"""Golden envelopes and schemas: current, judged as they have to be, and able to be found wrong."""

from __future__ import annotations

import ast
import json
import re
import shutil
from collections import Counter

import jsonschema
import pytest

from ampy_conformance import contract as contracts
from ampy_conformance._layout import PACKAGE, room
from ampy_conformance.contract import golden, golden_files, schemas
from ampy_conformance.contract.envelope import from_json
from ampy_conformance.contract.lint import Linter

CONTRACT = contracts.load()
WANTED = golden.build(CONTRACT)
ROOT = room("golden").parent


@pytest.fixture
def copy(tmp_path):
    """Copy the files to where they may be damaged."""
    for name in ("golden", "faulty", "schemas"):
        shutil.copytree(room(name), tmp_path / name)
    return tmp_path


def test_the_files_are_current_and_judged_right():
    assert golden_files.problems(CONTRACT, ROOT, WANTED) == []
    assert schemas.problems(CONTRACT, room("schemas")) == []


def test_every_domain_has_three_and_large_ones_show_gzip_and_pointer():
    valid = [each for each in WANTED if each.expects == "valid"]
    counts = Counter(each.name.split("/")[1] for each in valid)
    assert set(counts) == set(CONTRACT.domains)
    assert min(counts.values()) >= 3
    for name in CONTRACT.domains:
        cases = {each.name.split("/")[2] for each in valid if each.name.split("/")[1] == name}
        assert {"typical", "minimal"} <= cases
        assert cases & {"edge", "large"}
    assert any(each.envelope.headers.get("content_encoding") == "gzip" for each in valid)
    assert any("blob_ref" in each.envelope.headers for each in valid)


def test_two_builds_are_equal():
    assert [each.text(CONTRACT) for each in golden.build(CONTRACT)] == [
        each.text(CONTRACT) for each in WANTED
    ]


def test_every_must_that_one_envelope_can_break_has_a_faulty_one():
    """The clauses that the static linter can report, read from its source and from the spec."""
    source = "\n".join(
        (PACKAGE / "contract" / f"{each}.py").read_text("utf-8")
        for each in ("lint", "headercheck", "subtopics", "topics", "encoding")
    )
    literals = {
        node.value
        for node in ast.walk(ast.parse(source.replace("from __future__ import annotations", "")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    reportable = {each for each in literals if each in CONTRACT.clauses}
    reportable |= {each.clause for each in CONTRACT.headers}
    reportable |= {each.pattern_clause for each in CONTRACT.headers if each.pattern_clause}
    reportable |= {
        each.subtopic_clause for each in CONTRACT.domains.values() if each.subtopic_clause
    }
    must = {each for each in reportable if CONTRACT.clauses[each].must}
    broken = {each.clause for each in WANTED if each.expects == "invalid"}
    # Two that the linter grades as warnings: a payload beside a pointer (BLB-01, A-35) and the
    # form of a header that the contract does not name (DLQ-13, A-08).
    assert must - broken - {"BLB-01", "DLQ-13"} == set()
    static = {
        each.id
        for each in CONTRACT.clauses.values()
        if each.must and each.observable == ("static",) and each.verified in ("suite", "validate")
    }
    assert static - broken == set()


def test_a_file_that_was_changed_is_named(copy):
    path = copy / "golden" / "bars" / "typical.json"
    data = json.loads(path.read_text("utf-8"))
    data["headers"]["run_id"] = "other"
    path.write_text(json.dumps(data), "utf-8")
    (found,) = golden_files.problems(CONTRACT, copy, WANTED)
    assert "golden/bars/typical.json is out of date (headers)" in found


def test_missing_extra_and_broken_files_are_named(copy):
    (copy / "golden" / "fx" / "edge.json").unlink()
    (copy / "golden" / "fx" / "more.json").write_text("{}", "utf-8")
    (copy / "faulty" / "invalid" / "HDR-01-missing.json").write_text("{", "utf-8")
    found = " ".join(golden_files.problems(CONTRACT, copy, WANTED))
    assert "golden/fx/edge.json is missing" in found
    assert "golden/fx/more.json is made by no case" in found
    assert "HDR-01-missing.json is not JSON" in found


def test_an_envelope_that_is_judged_otherwise_is_named(copy):
    path = copy / "faulty" / "invalid" / "HDR-01-missing.json"
    data = json.loads(path.read_text("utf-8"))
    data["headers"]["message_id"] = "0199167a-1b50-76aa-8f7a-3b1d8f3ea0c2"
    path.write_text(json.dumps(data), "utf-8")
    found = " ".join(golden_files.problems(CONTRACT, copy, WANTED))
    assert "is judged nothing instead of HDR-01 (fail)" in found


def test_build_repairs_and_leaves_current_files_alone(copy):
    kept = copy / "golden" / "news" / "large.json"
    before = kept.stat().st_mtime_ns
    (copy / "golden" / "fx" / "edge.json").unlink()
    (copy / "golden" / "fx" / "more.json").write_text("{}", "utf-8")
    golden_files.write(CONTRACT, copy)
    assert golden_files.problems(CONTRACT, copy, WANTED) == []
    assert kept.stat().st_mtime_ns == before


def test_what_an_older_compressor_made_is_current(copy):
    """Another zlib compresses to other bytes; what it unpacks to is what counts."""
    import base64  # noqa: PLC0415 (beside its only use)
    import gzip  # noqa: PLC0415
    import hashlib  # noqa: PLC0415

    path = copy / "golden" / "news" / "large.json"
    data = json.loads(path.read_text("utf-8"))
    body = gzip.decompress(base64.b64decode(data["payload_b64"]))
    wire = gzip.compress(body, compresslevel=1, mtime=0)
    assert wire != base64.b64decode(data["payload_b64"])
    data |= {
        "payload_b64": base64.b64encode(wire).decode(),
        "payload_sha256": hashlib.sha256(wire).hexdigest(),
        "size": len(wire),
    }
    path.write_text(json.dumps(data), "utf-8")
    assert golden_files.problems(CONTRACT, copy, WANTED) == []


# -- schemas ----------------------------------------------------------------------------


def schema_of(name):
    return json.loads((room("schemas") / name).read_text("utf-8"))


@pytest.mark.parametrize("name", sorted(schemas.build(CONTRACT)))
def test_a_schema_is_one_and_names_its_clauses(name):
    schema = schema_of(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    headers = schema["properties"].get("headers", schema)
    headers = headers.get("else", headers)
    for header, rule in headers["properties"].items():
        if rule is not False:
            assert re.match(r"[A-Z]{3}-\d\d \(", rule["description"]), header


def test_the_schemas_accept_every_golden_envelope():
    for each in WANTED:
        if each.expects == "valid":
            schema = schema_of(f"envelope/{each.name.split('/')[1]}.json")
            jsonschema.validate(each.data(CONTRACT), schema)


def test_the_schemas_refuse_what_is_wrong_with_topic_or_headers():
    """Every invalid envelope whose fault is in the envelope and not in payload or agreement."""
    beyond = {"SER-01", "SER-04", "SER-05", "SER-10", "SER-11", "TOP-15", "TOP-16"}
    missed = []
    for each in WANTED:
        if each.expects != "invalid" or each.clause in beyond:
            continue
        domain = "dlq" if each.clause == "DLQ-06" or ".dlq." in each.envelope.topic else None
        domain = domain or _base(each)
        schema = schema_of(f"envelope/{domain}.json")
        if not list(jsonschema.Draft202012Validator(schema).iter_errors(each.data(CONTRACT))):
            missed.append(each.name)
    # No schema compares two headers, or knows that a name is misspelt.
    assert [each.rpartition("/")[2] for each in missed] == ["HDR-16-other-trace"]


def _base(each):
    for name in CONTRACT.domains:
        if CONTRACT.domains[name].package and each.envelope.headers.get(
            "schema_fqdn", ""
        ).startswith(f"{CONTRACT.domains[name].package}."):
            return "orders" if each.clause == "TOP-19" else name
    return "bars"


def test_dropping_a_required_header_fails_the_header_schema():
    schema = schema_of("headers.json")
    whole = dict(WANTED[0].envelope.headers)
    jsonschema.validate(whole, schema)
    for header in CONTRACT.headers:
        if header.required:
            rest = {name: value for name, value in whole.items() if name != header.name}
            with pytest.raises(jsonschema.ValidationError, match=header.name):
                jsonschema.validate(rest, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**whole, "blob_ref": "s3://a/b"}, schema)


# -- the examples that the contract prints -----------------------------------------------


def _vectors():
    import yaml  # noqa: PLC0415 (beside its only use)

    return yaml.safe_load((room("spec") / "vectors" / "section14.yaml").read_text("utf-8"))[
        "vectors"
    ]


@pytest.mark.parametrize("vector", _vectors(), ids=lambda each: each["name"])
def test_section_14_is_judged_as_its_ambiguities_are_settled(vector):
    seen = [(each.clause, each.severity) for each in Linter(CONTRACT).check(from_json(vector))]
    assert seen == [(each["clause"], each["severity"]) for each in vector["expects"]]
    assert all(each["settled_by"] in CONTRACT.ambiguities for each in vector["expects"])


def test_all_ten_are_there():
    assert Counter(each["section"] for each in _vectors()) == {
        "14.1": 1, "14.2": 1, "14.3": 1, "14.4": 1, "14.5": 2, "14.6": 2, "14.7": 1, "14.8": 1,
    }  # fmt: skip
