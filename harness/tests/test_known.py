"""Known failures: on record, dated, and never silently wrong."""

from __future__ import annotations

import datetime as dt

import pytest

from ampy_conformance._errors import UsageError
from ampy_conformance.suite import known

TODAY = dt.date(2030, 1, 1)
GOOD = """
- clause: HDR-01
  issue: https://example.org/issues/7
  expires: 2030-06-30
  signature: records on the wire break it
"""


def load(tmp_path, text):
    path = tmp_path / "known.yaml"
    path.write_text(text, "utf-8")
    return known.load(path, {"HDR-01", "HDR-02"})


def stale(entries, failed, used=(), *, passed=(), today=TODAY, complete=True):
    return known.stale(entries, failed, passed, set(used), complete=complete, today=today)


def test_an_entry_covers_its_failure_until_it_expires(tmp_path):
    (entry,) = load(tmp_path, GOOD)
    assert entry.covers("HDR-01", "HDR-01: records on the wire break it", TODAY)
    assert not entry.covers("HDR-01", "HDR-01: something else", TODAY)
    (vague,) = load(tmp_path, GOOD.replace("records on the wire break it", "HDR-01"))
    assert not vague.covers("HDR-01", "HDR-01: something else", TODAY)
    assert not entry.covers("HDR-02", "HDR-02: records on the wire break it", TODAY)
    assert not entry.covers("HDR-01", "records on the wire break it", dt.date(2030, 7, 1))


def test_an_entry_that_no_longer_holds_is_stale(tmp_path):
    entries = load(tmp_path, GOOD)
    assert stale(entries, {"HDR-01": ["HDR-01: records on the wire break it"]}, entries) == []
    assert stale(entries, {"HDR-01": []}, passed={"HDR-01"}), "it passes now"
    assert stale(entries, {"HDR-01": []}) == [], "it was left open: nobody knows"
    assert stale(entries, {"HDR-01": ["HDR-01: another message"]}), "it fails in another way"
    assert stale(entries, {}), "it matches nothing in a complete run"
    assert stale(entries, {}, complete=False) == [], "it was not selected"
    late = dt.date(2031, 1, 1)
    assert stale(entries, {"HDR-01": ["x"]}, today=late), "it has expired"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("clause: HDR-01", "must be a list"),
        ("[:", "is not YAML"),
        ("- 7", "entry 1"),
        (GOOD.replace("HDR-01", "HDR-77"), "no clause 'HDR-77'"),
        (GOOD.replace("2030-06-30", "soon"), "expires must be a date"),
        (GOOD.replace("2030-06-30", "2030-02-31"), "is not YAML"),
        (GOOD.replace("HDR-01", "[a]"), "no clause ['a']"),
        (GOOD.replace("https://example.org/issues/7", "http://["), "URL"),
        (GOOD.replace("https://example.org/issues/7", "later"), "URL"),
        (GOOD.replace("records on the wire break it", '""'), "signature"),
        (GOOD + "  extra: 1\n", "exactly the fields"),
    ],
)
def test_a_file_that_is_wrong_is_refused_in_one_sentence(tmp_path, text, says):
    with pytest.raises(UsageError) as error:
        load(tmp_path, text)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match="cannot read"):
        known.load(tmp_path / "nowhere.yaml", set())
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="is not YAML"):
        known.load(tmp_path / "binary", set())
