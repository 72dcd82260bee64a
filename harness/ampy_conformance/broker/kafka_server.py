"""A real one-node Apache Kafka (KRaft) of our own: formatted, started, killed, started again."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import TYPE_CHECKING

from ampy_conformance import _process
from ampy_conformance.broker import java, kafka_jars
from ampy_conformance.broker.facts import BrokerError
from ampy_conformance.broker.kafka_wire import KafkaConnection, KafkaUnreachableError
from ampy_conformance.broker.starter import start_long_lived

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ampy_conformance.broker.java import Java
    from ampy_conformance.broker.kafka_jars import Progress

START_SECONDS = 60.0
FORMAT_SECONDS = 60.0
# Measured on two busy cores: with an archive of its classes (50 MB, made once) Kafka is formatted
# and ready in 2 to 3 s instead of 4.5 to 6; Java checks by itself whether it fits.
ARCHIVE_SECONDS = 20.0
# Small heap, quick compiler, no background collector: ready in two seconds, 300 MB at rest.
JVM = (
    "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto",
    "-Djava.awt.headless=true",
)  # fmt: skip
# One node, nothing replicated. A broker that was killed must not wait for its own dead session.
# Nothing is made by accident (`auto.create`), nothing vanishes while a run lasts (`retention`).
SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "auto.create.topics.enable": "false",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "500",
    "group.consumer.min.session.timeout.ms": "500",
    "group.consumer.session.timeout.ms": "1500",
    "group.consumer.min.heartbeat.interval.ms": "100",
    "group.consumer.heartbeat.interval.ms": "300",
    "broker.session.timeout.ms": "1500",
    "broker.heartbeat.interval.ms": "250",
    "log.retention.ms": "-1",
    "log.retention.bytes": "-1",
    # Lanes delete records; what is deleted must stay so when the broker is killed.
    "log.flush.start.offset.checkpoint.interval.ms": "100",
    "log.initial.task.delay.ms": "100",
    "delete.topic.enable": "true",
}


class KafkaServer:
    """One Kafka process and its data, all in one temporary folder.

    `relays` adds a listener for each name and port: Kafka tells those who come by it to come back
    to that port, where somebody else listens and leads on to `ports[name]`.
    """

    def __init__(
        self,
        directory: Path | None = None,
        progress: Progress | None = None,
        relays: Mapping[str, int] | None = None,
    ) -> None:
        self._java = java.find()
        self._classpath = kafka_jars.classpath(progress=progress)
        self._archive = _archive(self._java)
        self._archives = not self._archive.exists()
        self.cluster = new_cluster_id()
        self.version = kafka_jars.locked().kafka
        self.java = self._java.version
        self._folder = Path(tempfile.mkdtemp(prefix="kafka-", dir=directory))
        self._process: subprocess.Popen[bytes] | None = None
        self._relays = dict(relays or {})
        self.port = 0
        self.ports: dict[str, int] = {}
        began = time.monotonic()
        try:
            self._write()
            self._format()
            self.start()
        except BaseException:
            self.stop()
            raise
        # From nothing to a broker that answers; jars fetched and checked before.
        self.seconds = round(time.monotonic() - began, 2)

    @property
    def folder(self) -> Path:
        """Where everything of this server is."""
        return self._folder

    @property
    def url(self) -> str:
        """The broker's URL."""
        return f"kafka://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process number of the server, None where it does not run."""
        return self._process.pid if self.alive and self._process is not None else None

    @property
    def alive(self) -> bool:
        """Tell whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def freeze(self) -> None:
        """Stop the process without ending it."""
        if self._process is not None:
            _process.freeze(self._process.pid)

    def thaw(self) -> None:
        """Let the stopped process go on."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def start(self) -> None:
        """Start the process and wait until it, and no other, answers."""
        if self.alive:
            return
        command = self._command("kafka.Kafka", str(self._config), archives=self._archives)
        with self._log.open("ab") as log:
            self._process = start_long_lived(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._folder
            )
        wait_for(self.port, self.cluster, self._still_starts)

    def _still_starts(self) -> None:
        if not self.alive:
            raise BrokerError(f"Kafka ended at its start: {self._last_words()}")

    def kill(self) -> None:
        """End the process with SIGKILL."""
        if self._process is not None:
            _process.kill_group(self._process, signal.SIGKILL)
            self._process.wait()

    def stop(self) -> None:
        """End the process and remove its folder; nobody needs its data, so without ceremony.

        The first time it is given the chance to leave an archive of its classes behind.
        """
        if self._process is not None:
            if self._archives and self.alive:
                self._leave_archive()
            _process.kill_group(self._process, signal.SIGKILL)
            _process.end(self._process)
            self._process = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def _leave_archive(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired, OSError):
            self._process.wait(ARCHIVE_SECONDS)
            # Copied beside and moved: the cache may be on another disk, other runs may look.
            beside = self._archive.with_suffix(f".{os.getpid()}")
            shutil.copyfile(self._fresh_archive, beside)
            beside.replace(self._archive)

    @property
    def _fresh_archive(self) -> Path:
        return self._folder / "classes.jsa"

    @property
    def _config(self) -> Path:
        return self._folder / "server.properties"

    @property
    def _log(self) -> Path:
        return self._folder / "server.log"

    def _write(self) -> None:
        """Choose ports and write the configuration.

        The controller's port stands in the configuration, so that Kafka cannot choose it itself;
        `start` sees to it that the process which answers is the one that was started.
        """
        self.port, controller, *others = free_ports(2 + len(self._relays))
        self.ports = dict(zip(self._relays, others, strict=True))
        own = settings(
            {"RAW": self.port, **self.ports}, {"RAW": self.port, **self._relays}, controller
        )
        own["log.dirs"] = str(self._folder / "data")
        lines = [f"{name}={value}" for name, value in own.items()]
        self._config.write_text("\n".join(lines) + "\n", "utf-8")

    def _format(self) -> None:
        command = self._command(
            "kafka.tools.StorageTool", "format", "-t", self.cluster, "-c", str(self._config)
        )
        try:
            done = subprocess.run(
                command, capture_output=True, timeout=FORMAT_SECONDS, cwd=self._folder, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BrokerError(f"Kafka's storage could not be prepared: {error}") from error
        if done.returncode:
            self._log.write_bytes(done.stdout + done.stderr)
            raise BrokerError(f"Kafka's storage could not be prepared: {self._last_words()}")

    def _command(self, main: str, *arguments: str, archives: bool = False) -> list[str]:
        way, path = (
            ("ArchiveClassesAtExit", self._fresh_archive)
            if archives
            else ("SharedArchiveFile", self._archive)
        )
        options = [f"-XX:{way}={path}"] if archives or path.exists() else []
        return [self._java.program, *JVM, *options, "-cp", self._classpath, main, *arguments]

    def _last_words(self) -> str:
        text = self._log.read_text("utf-8", "replace").splitlines()
        bad = [each for each in text if "ERROR" in each or "FATAL" in each or "Exception" in each]
        return (bad or text or ["it said nothing"])[0][:300]


def _archive(found: Java) -> Path:
    """Return where the archive of Kafka's classes is kept: one for each Java."""
    build = hashlib.sha256(f"{found.program} {found.version}".encode()).hexdigest()[:12]
    return kafka_jars.folder(kafka_jars.locked()) / f"classes-{found.major}-{build}.jsa"


def settings(
    own: Mapping[str, int], told: Mapping[str, int], controller: int, bind: str = "127.0.0.1"
) -> dict[str, str]:
    """Return the configuration: listeners by name and port, and the ports that clients are told."""
    return {
        **SETTINGS,
        "listeners": _listeners({**own, "CONTROLLER": controller}, bind),
        "advertised.listeners": _listeners(told, "127.0.0.1"),
        "listener.security.protocol.map": ",".join(
            f"{name}:PLAINTEXT" for name in (*own, "CONTROLLER")
        ),
        "inter.broker.listener.name": "RAW",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
    }


def wait_for(port: int, cluster: str, still_starts: Callable[[], None]) -> None:
    """Wait until this cluster, and no other, answers; `still_starts` raises when it is in vain."""
    deadline = time.monotonic() + START_SECONDS
    while not _answers(port, cluster):
        still_starts()
        if time.monotonic() > deadline:
            raise BrokerError(f"Kafka was not ready within {START_SECONDS:g} s")
        time.sleep(0.02)


def _answers(port: int, cluster: str) -> bool:
    """Tell whether this cluster answers, ready to hold topics."""
    try:
        link = KafkaConnection("127.0.0.1", port, timeout=1.0)
    except KafkaUnreachableError:
        return False
    try:
        found = link.cluster()
    except KafkaUnreachableError:
        return False
    finally:
        link.close()
    if found.id != cluster:
        raise BrokerError(f"another server answers on port {port}; try again")
    return bool(found.nodes)


def new_cluster_id() -> str:
    """Return an id for a cluster: a UUID as Kafka writes it.

    Begins with an A: on the command line an id with a dash in front would be an option.
    """
    return urlsafe_b64encode(bytes(1) + uuid.uuid4().bytes[1:]).rstrip(b"=").decode()


def _listeners(ports: Mapping[str, int], host: str) -> str:
    return ",".join(f"{name}://{host}:{port}" for name, port in ports.items())


def free_ports(count: int) -> list[int]:
    """Return ports that are free now."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in probes:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in probes]
