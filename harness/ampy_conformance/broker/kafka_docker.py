"""Apache Kafka in a Docker container, through testcontainers: the other way to the same broker."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from ampy_conformance.broker import kafka_jars, kafka_server
from ampy_conformance.broker.facts import BrokerError

if TYPE_CHECKING:
    from collections.abc import Mapping

IMAGE = "apache/kafka"
INSTALL = "pip install 'ampy-bus-conformance[docker]'"


class KafkaContainer:
    """One container; offers what `KafkaServer` offers. Its data goes with it."""

    def __init__(self, relays: Mapping[str, int] | None = None) -> None:
        self.version = kafka_jars.locked().kafka
        self.java = "that of the image"
        self.cluster = kafka_server.new_cluster_id()
        told = dict(relays or {})
        self.port, controller, *others = kafka_server.free_ports(2 + len(told))
        self.ports = dict(zip(told, others, strict=True))
        own = {"RAW": self.port, **self.ports}
        configured = kafka_server.settings(
            own,
            {"RAW": self.port, **told},
            controller,
            bind="0.0.0.0",  # noqa: S104 (inside the container)
        )
        self._container = _container(f"{IMAGE}:{self.version}")
        self._container.with_env("CLUSTER_ID", self.cluster)
        for name, value in configured.items():
            self._container.with_env(_variable(name), value)
        for port in own.values():
            self._container.ports[str(port)] = ("127.0.0.1", port)
        began = time.monotonic()
        try:
            self._container.start()
            self._wait()
        except BrokerError:
            self.stop()
            raise
        except Exception as error:
            self.stop()
            raise BrokerError(f"Docker does not start {IMAGE}: {_first(error)}") from error
        self.seconds = round(time.monotonic() - began, 2)

    @property
    def url(self) -> str:
        """The broker's URL."""
        return f"kafka://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """No process of ours."""
        return None

    @property
    def alive(self) -> bool:
        """Tell whether the container runs."""
        inner = self._inner()
        inner.reload()
        return bool(inner.status == "running")

    def start(self) -> None:
        """Start the killed container again, and wait until it answers."""
        if not self.alive:
            self._inner().start()
            self._wait()

    def kill(self) -> None:
        """End the broker with SIGKILL."""
        self._inner().kill()

    def freeze(self) -> None:
        """Stop the broker without ending it."""
        self._inner().pause()

    def thaw(self) -> None:
        """Let the stopped broker go on."""
        self._inner().unpause()

    def stop(self) -> None:
        """End and remove the container."""
        with contextlib.suppress(Exception):
            self._container.stop()

    def _inner(self) -> Any:
        return self._container.get_wrapped_container()

    def _wait(self) -> None:
        kafka_server.wait_for(self.port, self.cluster, self._still_starts)

    def _still_starts(self) -> None:
        if not self.alive:
            raise BrokerError("Kafka's container ended at its start; `docker logs` tells why")


def _container(image: str) -> Any:
    try:
        from testcontainers.core.container import DockerContainer  # noqa: PLC0415 (an extra)
    except ImportError as error:
        raise BrokerError(
            f"--provision docker needs an extra; install it with `{INSTALL}`"
        ) from error
    try:
        return DockerContainer(image)
    except Exception as error:
        raise BrokerError(
            f"Docker does not answer ({_first(error)}); start it, or leave --provision docker out"
        ) from error


def _variable(setting: str) -> str:
    """Return the variable by which the image takes a setting."""
    return f"KAFKA_{setting.upper().replace('.', '_')}"


def _first(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:200]
