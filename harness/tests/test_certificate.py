"""Certificates: what was signed verifies, whatever was altered does not, and says what it is."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import os
import stat
import sys

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from ampy_conformance import contract as contracts
from ampy_conformance._errors import ConformError, UsageError
from ampy_conformance._layout import room
from ampy_conformance.cli import cli
from ampy_conformance.driver import artifact
from ampy_conformance.report import certificate, keys, lines

CONTRACT = contracts.load()
NOW = dt.datetime(2026, 11, 25, 12, 0, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def run(*arguments):
    result = CliRunner().invoke(cli, ["report", *map(str, arguments)], standalone_mode=False)
    if isinstance(result.exception, ConformError):
        return result.exception.exit_code, str(result.exception)
    if result.exception is not None:
        raise result.exception
    return result.return_value, result.output


def write(path, outcomes=("pass",), code=0, contract=CONTRACT, partial=False, **run_facts):
    """Write a whole report of a few clauses, against today's contract."""
    writer = lines.Writer(path)
    about = {"name": contract.name, "version": contract.version, "digest": contract.digest}
    writer.write(
        "run",
        schema=lines.SCHEMA_VERSION,
        suite={"name": "ampy-bus-conformance", "version": "0.1.0", "digest": f"sha256:{'a' * 64}"},
        contract=about,
        driver=run_facts.pop("driver", {"connectable": "exec:./mine", "name": "mine"}),
        broker={"kind": "nats", "version": "2.15.1", "provenance": "embedded"},
        seed=7,
        planned=len(outcomes),
        started="2026-11-25T10:00:00+00:00",
        **run_facts,
    )
    for number, outcome in enumerate(outcomes, 1):
        writer.write(
            "clause",
            id=f"ORD-{number:02d}",
            level="MUST",
            profile="delivery",
            section=["11"],
            text="In order.",
            look=[],
            outcome=outcome,
            reason="",
            cases=[],
        )
    profiles = {
        "delivery": {
            "claimed": True,
            "clauses": 1,
            "must": 1,
            "must_passed": 1,
            "must_judged": 1,
            "failed": [],
        }
    }
    writer.end(
        verdict="conformant",
        exit=code,
        counts={},
        partial=partial,
        profiles=profiles,
        stale=[],
        trouble=None,
        seconds=1.0,
    )
    return path


@pytest.fixture(autouse=True)
def no_keys_around(monkeypatch):
    for name in (keys.KEY, keys.PASSPHRASE):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def signed(tmp_path):
    """Make a report, a key and a certificate, as a user does."""
    report = write(tmp_path / "run.jsonl")
    assert run("keygen", tmp_path / "key.pem")[0] == 0
    driver = tmp_path / "driver"
    driver.write_bytes(b"\x7fELF and more")
    code, output = run("sign", report, "--key", tmp_path / "key.pem", "--driver", driver)
    assert code == 0, output
    return tmp_path / "run.jsonl.certificate.json"


def verify(signed, *arguments, key="key.pem.pub"):
    return run("verify", signed, "--key", signed.parent / key, *arguments)


def reseal(signed, edit):
    """Sign an edited statement with the right key: what only the statement itself can tell."""
    data = json.loads(signed.read_text("utf-8"))
    content = json.loads(base64.b64decode(data["payload"]))
    edit(content)
    signed.write_text(certificate.seal(content, keys.private(signed.parent / "key.pem")), "utf-8")


def test_a_signed_report_verifies(signed):
    code, output = verify(signed, "--driver", signed.parent / "driver")
    assert code == 0
    assert "run.jsonl is the one that was signed" in output
    assert "driver is the one that was signed" in output
    assert output.endswith("the certificate holds\n")


def test_the_statement_is_in_toto(signed):
    code, output = verify(signed, "--json")
    assert code == 0
    content = json.loads(output)["statement"]
    assert content["_type"] == "https://in-toto.io/Statement/v1"
    assert content["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    report = signed.parent / "run.jsonl"
    assert content["subject"][0] == {
        "name": "run.jsonl",
        "digest": {"sha256": hashlib.sha256(report.read_bytes()).hexdigest()},
    }
    predicate = content["predicate"]
    assert (predicate["result"], predicate["passedTests"]) == ("PASSED", ["ORD-01"])
    by_name = {each["name"]: each for each in predicate["configuration"]}
    assert by_name["broker"]["annotations"]["version"] == "2.15.1"
    assert by_name["run"]["annotations"]["seed"] == 7
    own = CONTRACT.digest.removeprefix("sha256:")
    assert by_name[f"contract ampy-bus {CONTRACT.version}"]["digest"]["ampy_tree_sha256"] == own


def test_the_envelope_is_dsse_and_others_can_verify_it(signed):
    """Verified with nothing of ours: the library, and the encoding as DSSE writes it."""
    data = json.loads(signed.read_text("utf-8"))
    assert data["payloadType"] == "application/vnd.in-toto+json"
    body = base64.b64decode(data["payload"])
    public = serialization.load_pem_public_key((signed.parent / "key.pem.pub").read_bytes())
    encoded = f"DSSEv1 28 application/vnd.in-toto+json {len(body)} ".encode() + body
    public.verify(base64.b64decode(data["signatures"][0]["sig"]), encoded)
    # The example of DSSE's own protocol document.
    wanted = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert certificate.pae("http://example.com/HelloWorld", b"hello world") == wanted


# -- tampering ----------------------------------------------------------------------------------


def test_an_edited_report(signed):
    report = signed.parent / "run.jsonl"
    report.write_text(report.read_text("utf-8").replace('"seed": 7', '"seed": 8'), "utf-8")
    code, output = verify(signed)
    assert code == 1
    assert "run.jsonl is not the report that was signed, or was edited" in output


def test_another_report_that_is_whole(signed):
    other = write(signed.parent / "other.jsonl", ("pass", "pass"))
    code, output = verify(signed, "--report", other)
    assert code == 1
    assert "other.jsonl is not the report that was signed" in output


def test_another_key(signed):
    assert run("keygen", signed.parent / "other.pem")[0] == 0
    code, output = verify(signed, key="other.pem.pub")
    assert code == 1
    assert "signed by another key" in output
    assert "result" not in output  # nothing that was not verified is repeated
    # One of several trusted keys is enough.
    assert verify(signed, "--key", signed.parent / "other.pem.pub")[0] == 0


def test_an_edited_statement(signed):
    data = json.loads(signed.read_text("utf-8"))
    body = base64.b64decode(data["payload"]).replace(b'"expires":"20', b'"expires":"29')
    data["payload"] = base64.b64encode(body).decode()
    signed.write_text(json.dumps(data), "utf-8")
    code, output = verify(signed)
    assert code == 1
    assert "changed after it was signed" in output


def test_another_kind_of_payload_under_the_same_signature(signed):
    data = json.loads(signed.read_text("utf-8"))
    data["payloadType"] = "application/json"
    signed.write_text(json.dumps(data), "utf-8")
    assert "no in-toto statement" in verify(signed)[1]


def test_the_key_id_decides_nothing(signed):
    data = json.loads(signed.read_text("utf-8"))
    data["signatures"][0]["keyid"] = "0" * 64
    signed.write_text(json.dumps(data), "utf-8")
    assert verify(signed)[0] == 0


def test_no_signature(signed):
    data = json.loads(signed.read_text("utf-8"))
    data["signatures"] = []
    signed.write_text(json.dumps(data), "utf-8")
    code, output = verify(signed)
    assert code == 1
    assert "not signed" in output


@pytest.mark.parametrize(
    ("shift", "says"), [(-1000 * DAY, "expired"), (1000 * DAY, "in the future")]
)
def test_outside_its_dates(signed, shift, says):
    def edit(content):
        for name in ("issued", "expires"):
            moment = dt.datetime.strptime(content["predicate"][name], certificate.TIME) + shift  # noqa: DTZ007
            content["predicate"][name] = moment.strftime(certificate.TIME)

    reseal(signed, edit)
    code, output = verify(signed)
    assert code == 1
    assert says in output


def test_no_dates(signed):
    reseal(signed, lambda content: content["predicate"].pop("expires"))
    assert "does not say when" in verify(signed)[1]


def test_another_contract(signed, tmp_path):
    spec = tmp_path / "spec"
    for path in room("spec").rglob("*"):
        if path.is_file():
            target = spec / path.relative_to(room("spec"))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    (spec / "qos.yaml").write_text((spec / "qos.yaml").read_text("utf-8") + "# more\n", "utf-8")
    code, output = verify(signed, "--spec", spec)
    assert code == 1
    assert "another contract: ampy-bus" in output
    assert verify(signed, "--any-contract")[0] == 0
    assert verify(signed, "--any-contract", "--spec", spec)[0] == 2


def test_a_certificate_that_flatters_its_report(tmp_path):
    """Signed by the right key and bound to the report, and not what the report says."""
    report = write(tmp_path / "run.jsonl", ("fail",), code=1)
    assert run("keygen", tmp_path / "key.pem")[0] == 0
    assert run("sign", report, "--key", tmp_path / "key.pem")[0] == 0
    signed = tmp_path / "run.jsonl.certificate.json"
    reseal(signed, lambda content: content["predicate"].update(result="PASSED", failedTests=[]))
    code, output = verify(signed)
    assert code == 1
    assert "something else than its report (result, failedTests)" in output


def test_another_driver(signed):
    driver = signed.parent / "driver"
    driver.write_bytes(b"\x7fELF and less")
    code, output = verify(signed, "--driver", driver)
    assert code == 1
    assert "none of the files that were signed" in output


@pytest.mark.parametrize("kept", [0, 1, 100, -3])
def test_a_truncated_certificate(signed, kept):
    signed.write_bytes(signed.read_bytes()[:kept])
    code, output = verify(signed)
    assert code == 2
    assert "cut off or no certificate" in output
    assert "\n" not in output.strip()


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        '{"payload": 1, "payloadType": "x", "signatures": []}',
        '{"payload": "!", "payloadType": "x", "signatures": []}',
        '{"payload": "e30=", "payloadType": "x", "signatures": [1]}',
        '{"payload": "e30=", "payloadType": 1, "signatures": []}',
        '{"payload": "e30=", "payload": "e30=", "payloadType": "x", "signatures": []}',
        "[" * 100_000,
    ],
)
def test_what_is_no_certificate(signed, text):
    signed.write_text(text, "utf-8")
    code, output = verify(signed)
    assert code == 2
    assert "Traceback" not in output


def test_a_statement_of_another_kind(signed):
    reseal(signed, lambda content: content.update(predicateType="https://slsa.dev/provenance/v1"))
    code, output = verify(signed)
    assert code == 2
    assert "no test-result statement" in output


def test_names_in_a_certificate_lead_nowhere_else(signed, tmp_path):
    secret = tmp_path / "elsewhere" / "secret"
    secret.parent.mkdir()
    secret.write_text("x", "utf-8")

    def edit(content):
        content["subject"] = [{**content["subject"][0], "name": "elsewhere/secret"}]

    reseal(signed, edit)
    code, output = verify(signed)
    assert code == 0
    assert "not at hand" in output


# -- results ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcomes", "code", "result"),
    [
        (("pass", "warn"), 0, "WARNED"),
        (("pass", "known failure"), 0, "WARNED"),
        (("pass", "fail"), 1, "FAILED"),
        (("pass", "inconclusive"), 6, "FAILED"),
    ],
)
def test_results(tmp_path, outcomes, code, result):
    report = write(tmp_path / "run.jsonl", outcomes, code)
    run("keygen", tmp_path / "key.pem")
    assert result in run("sign", report, "--key", tmp_path / "key.pem")[1]
    signed = tmp_path / "run.jsonl.certificate.json"
    failed = result == "FAILED"
    assert verify(signed)[0] == failed
    assert verify(signed, "--any-result")[0] == 0


def test_the_history_is_bound(tmp_path):
    history = tmp_path / "run.history.jsonl"
    history.write_bytes(b"{}\n")
    digest = f"sha256:{hashlib.sha256(b'{}' + bytes([10])).hexdigest()}"
    report = write(
        tmp_path / "run.jsonl", history={"file": history.name, "events": 1, "digest": digest}
    )
    run("keygen", tmp_path / "key.pem")
    run("sign", report, "--key", tmp_path / "key.pem")
    signed = tmp_path / "run.jsonl.certificate.json"
    code, output = verify(signed)
    assert code == 0
    assert "history: run.history.jsonl is the one" in output
    history.write_bytes(b"{} \n")
    code, output = verify(signed)
    assert code == 1
    assert "run.history.jsonl is none of the files that were signed" in output


def test_the_files_of_the_driver_are_bound_by_the_report(tmp_path):
    program = tmp_path / "mine"
    program.write_text("#!/bin/sh\n", "utf-8")
    program.chmod(0o755)
    found = artifact.files(f"exec:{program} --quiet")
    assert found == [{"name": "mine", "sha256": hashlib.sha256(program.read_bytes()).hexdigest()}]
    driver = {"connectable": "exec:./mine", "files": found}
    report = write(tmp_path / "run.jsonl", driver=driver)
    run("keygen", tmp_path / "key.pem")
    run("sign", report, "--key", tmp_path / "key.pem")
    signed = tmp_path / "run.jsonl.certificate.json"
    assert verify(signed, "--driver", program)[0] == 0
    program.write_text("#!/bin/sh\nexit\n", "utf-8")
    assert "none of the files that were signed" in verify(signed, "--driver", program)[1]


def test_which_files_a_driver_is_started_from(tmp_path):
    script = tmp_path / "driver.py"
    script.write_text("", "utf-8")
    names = [each["name"] for each in artifact.files(f"exec:{sys.executable} {script} --flag")]
    assert names[1:] == ["driver.py"]
    assert [each["name"] for each in artifact.files("mem")] == ["memory_driver.py"]
    assert artifact.files("tcp:127.0.0.1:1") == []
    assert artifact.files("exec:'") == []


def test_what_is_not_signed(tmp_path):
    run("keygen", tmp_path / "key.pem")
    chosen = write(tmp_path / "chosen.jsonl", selection={"clause": ["ORD-01"]})
    code, output = run("sign", chosen, "--key", tmp_path / "key.pem")
    assert code == 2
    assert "certifies nothing" in output
    for name, outcomes in (("load", ()), ("merged", ("pass",))):
        # A load judges no clause; a merged report knows by its end that it is of parts.
        path = write(tmp_path / f"{name}.jsonl", outcomes, partial=True)
        assert run("sign", path, "--key", tmp_path / "key.pem")[0] == 2
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(chosen.read_bytes()[:-40])
    assert run("sign", cut, "--key", tmp_path / "key.pem")[0] == 2
    assert run("sign", tmp_path / "none.jsonl", "--key", tmp_path / "key.pem")[0] == 2


# -- keys ---------------------------------------------------------------------------------------


def pem(key, passphrase=None):
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase)
        if passphrase
        else serialization.NoEncryption(),
    )


def test_a_key_from_the_environment(tmp_path, monkeypatch):
    report = write(tmp_path / "run.jsonl")
    code, output = run("sign", report)
    assert code == 2
    assert keys.KEY in output
    run("keygen", tmp_path / "key.pem")
    text = (tmp_path / "key.pem").read_text("utf-8")
    monkeypatch.setenv(keys.KEY, text)
    code, output = run("sign", report)
    assert code == 0
    assert text.splitlines()[1] not in output
    assert verify(tmp_path / "run.jsonl.certificate.json")[0] == 0


def test_an_encrypted_key(tmp_path, monkeypatch):
    report = write(tmp_path / "run.jsonl")
    monkeypatch.setenv(keys.PASSPHRASE, "correct horse")
    run("keygen", tmp_path / "key.pem")
    assert b"ENCRYPTED" in (tmp_path / "key.pem").read_bytes()
    assert run("sign", report, "--key", tmp_path / "key.pem")[0] == 0
    monkeypatch.setenv(keys.PASSPHRASE, "wrong horse")
    code, output = run("sign", report, "--key", tmp_path / "key.pem")
    assert code == 2
    assert "horse" not in output
    monkeypatch.delenv(keys.PASSPHRASE)
    code, output = run("sign", report, "--key", tmp_path / "key.pem")
    assert code == 2
    assert "is encrypted" in output


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"\x00\xff" * 100,
        b"-----BEGIN PRIVATE KEY-----\nSECRETSECRET\n-----END PRIVATE KEY-----\n",
        b"x" * 100_000,
        pem(ec.generate_private_key(ec.SECP256R1())),
        ed25519.Ed25519PrivateKey.generate()
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
    ],
    ids=["empty", "text", "binary", "no key within", "huge", "another algorithm", "public"],
)
def test_hostile_key_files(tmp_path, content):
    report = write(tmp_path / "run.jsonl")
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    code, output = run("sign", report, "--key", path)
    assert code == 2
    assert "\n" not in output.strip()
    assert "SECRET" not in output
    assert not (tmp_path / "run.jsonl.certificate.json").exists()


def test_a_key_that_is_no_file(tmp_path):
    report = write(tmp_path / "run.jsonl")
    for path in (tmp_path, tmp_path / "none.pem"):
        code, output = run("sign", report, "--key", path)
        assert code == 2
        assert "there is no key file" in output
    with pytest.raises(UsageError, match="there is no key file"):
        keys.public(tmp_path / "none.pem")


def test_keys_are_not_mixed_up(signed):
    code, output = verify(signed, key="key.pem")
    assert code == 2
    assert "is a private key" in output


def test_keygen_overwrites_nothing_and_keeps_the_key_to_its_owner(tmp_path):
    path = tmp_path / "key.pem"
    assert run("keygen", path)[0] == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    code, output = run("keygen", path)
    assert code == 2
    assert "never overwritten" in output
    assert path.read_bytes() == before
    os.chmod(path, 0o644)  # noqa: PTH101
    assert "others can read" in run("sign", write(tmp_path / "run.jsonl"), "--key", path)[1]


def test_keys_do_not_show_in_their_text_form(tmp_path):
    run("keygen", tmp_path / "key.pem")
    key = keys.private(tmp_path / "key.pem")
    assert "Private object" in repr(key)
    assert "Ed25519" not in repr(key)


def test_without_the_library_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives", None)
    code, output = run("keygen", tmp_path / "key.pem")
    assert code == 2
    assert "[sign]" in output
