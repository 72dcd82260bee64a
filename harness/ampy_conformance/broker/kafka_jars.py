"""Kafka's jars: named in a lock file, fetched once through jgo, checked before every start.

`python -m ampy_conformance.broker.kafka_jars VERSION` prints a lock file for another version.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ampy_conformance import _layout
from ampy_conformance.broker.facts import BrokerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Progress = Callable[[int, int], None]

LOCK = Path(__file__).with_name("kafka.lock.json")
INSTALL = "pip install 'ampy-bus-conformance[kafka]'"
SERVER = "org.apache.kafka:kafka_2.13"
# Without it Kafka keeps the reason of a failed start to itself.
LOGGING = "org.apache.logging.log4j:log4j-slf4j-impl"


@dataclass(frozen=True)
class Jar:
    """One locked file: Maven coordinates `group:artifact:version`, SHA-256 in hex, size."""

    coordinates: str
    sha256: str
    size: int

    @property
    def filename(self) -> str:
        """The file's name in a Maven repository; unique among the locked ones."""
        _, artifact, version = self.coordinates.split(":")
        return f"{artifact}-{version}.jar"


@dataclass(frozen=True)
class Lock:
    """The version of Kafka and every jar that it needs."""

    kafka: str
    jars: tuple[Jar, ...]


@cache
def locked(path: Path = LOCK) -> Lock:
    """Return the lock that this distribution carries."""
    data = json.loads(path.read_text("utf-8"))
    return Lock(data["kafka"], tuple(Jar(**each) for each in data["jars"]))


def folder(lock: Lock) -> Path:
    """Return where the jars of this lock are kept; it need not exist."""
    return _layout.cache(f"kafka-{lock.kafka}")


def missing(lock: Lock) -> list[Jar]:
    """Return the jars that are still to be fetched."""
    return [each for each in lock.jars if not (folder(lock) / each.filename).exists()]


def classpath(lock: Lock | None = None, progress: Progress | None = None) -> str:
    """Return the class path of Kafka, every jar there and checked; fetches what is missing.

    `progress` is told the bytes fetched so far and all bytes to fetch. BrokerError where a jar
    cannot be had, or is not the one that was locked.
    """
    lock = lock or locked()
    fetch(lock, progress)
    check(lock)
    return os.pathsep.join(str(folder(lock) / each.filename) for each in lock.jars)


def check(lock: Lock) -> None:
    """Compare every jar with the lock. BrokerError where one is missing or another file."""
    for each in lock.jars:
        _check(each, folder(lock) / each.filename)


def fetch(lock: Lock, progress: Progress | None = None) -> None:
    """Fetch the missing jars from Maven Central (or a mirror that jgo's settings name)."""
    wanted = missing(lock)
    if not wanted:
        return
    whole = sum(each.size for each in wanted)
    done = 0
    target = folder(lock)
    target.mkdir(parents=True, exist_ok=True)
    # Fetched beside and moved when checked, so that no run ever sees half a file.
    beside = Path(tempfile.mkdtemp(prefix="fetching-", dir=target.parent))
    try:
        download = _downloader(beside)
        for jar in wanted:
            if progress is not None:
                progress(done, whole)
            path = download(jar)
            _check(jar, path)
            path.replace(target / jar.filename)
            done += jar.size
        if progress is not None:
            progress(whole, whole)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _downloader(repository: Path) -> Callable[[Jar], Path]:
    """Return a function that fetches one jar into a Maven repository folder of its own."""
    try:
        import requests  # noqa: PLC0415 (comes with jgo, an extra)
        from jgo.config import GlobalSettings  # noqa: PLC0415
        from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415
        from jgo.maven import MavenContext  # noqa: PLC0415
    except ImportError as error:
        raise BrokerError(
            f"fetching Kafka's jars needs jgo; install it with `{INSTALL}`"
        ) from error
    remotes = {"central": MAVEN_CENTRAL_URL, **GlobalSettings.load().repositories}
    maven = MavenContext(repo_cache=repository, remote_repos=remotes)

    def download(jar: Jar) -> Path:
        group, artifact, version = jar.coordinates.split(":")
        try:
            return Path(maven.project(group, artifact).at_version(version).artifact().resolve())
        except requests.RequestException as error:
            raise BrokerError(
                f"Kafka's jars cannot be fetched: no answer from Maven Central "
                f"({type(error).__name__}); connect this machine once, or give the URL of a "
                "running Kafka"
            ) from error
        except RuntimeError as error:
            raise BrokerError(f"no Maven repository has {jar.coordinates}") from error

    return download


def _check(jar: Jar, path: Path) -> None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BrokerError(f"{path} cannot be read ({error.strerror})") from error
    if found != jar.sha256:
        raise BrokerError(
            f"{path} is not the file that was locked for {jar.coordinates} (its SHA-256 differs); "
            "delete it to have it fetched again"
        )


def make_lock(kafka: str) -> dict[str, Any]:
    """Return the content of a lock file for a version of Kafka, resolved and fetched anew."""
    import jgo  # noqa: PLC0415

    found = [f"{a.groupId}:{a.artifactId}:{a.version}" for a in jgo.resolve(f"{SERVER}:{kafka}")]
    log4j = next(each for each in found if ":log4j-core:" in each).rpartition(":")[2]
    names = sorted({*found, f"{LOGGING}:{log4j}"})
    with tempfile.TemporaryDirectory() as scratch:
        download = _downloader(Path(scratch))
        return {"kafka": kafka, "jars": list(_entries(names, download))}


def _entries(names: Iterable[str], download: Callable[[Jar], Path]) -> Iterable[dict[str, Any]]:
    for each in names:
        data = download(Jar(each, "", 0)).read_bytes()
        yield {
            "coordinates": each,
            "sha256": hashlib.sha256(data).hexdigest(),
            "size": len(data),
        }


if __name__ == "__main__":
    json.dump(make_lock(sys.argv[1]), sys.stdout, indent=1)
    sys.stdout.write("\n")
