"""Kafka in Docker, without Docker: what testcontainers is asked for, and what is said without it."""

from __future__ import annotations

import sys
import types
from typing import Any, ClassVar

import pytest

pytest.importorskip("kafka", reason="needs the extra `kafka`")

from ampy_conformance import broker
from ampy_conformance._errors import UsageError
from ampy_conformance.broker import BrokerError, kafka_docker, kafka_server


class Inner:
    """A container of docker-py that notes what is done to it."""

    def __init__(self) -> None:
        self.status = "created"
        self.done: list[str] = []

    def reload(self) -> None:
        """Nothing changes by itself."""

    def start(self) -> None:
        self.status = "running"
        self.done.append("start")

    def kill(self) -> None:
        self.status = "exited"
        self.done.append("kill")

    def pause(self) -> None:
        self.done.append("pause")

    def unpause(self) -> None:
        self.done.append("unpause")


class Container:
    """What the suite uses of testcontainers' DockerContainer."""

    made: ClassVar[list[Container]] = []
    trouble: ClassVar[Exception | None] = None

    def __init__(self, image: str) -> None:
        self.image, self.env, self.ports = image, {}, {}  # type: ignore[var-annotated]
        self.inner, self.stopped = Inner(), False
        Container.made.append(self)

    def with_env(self, name: str, value: str) -> Container:
        self.env[name] = value
        return self

    def start(self) -> None:
        if Container.trouble is not None:
            raise Container.trouble
        self.inner.start()

    def stop(self) -> None:
        self.stopped = True

    def get_wrapped_container(self) -> Inner:
        return self.inner


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch) -> type[Container]:
    """testcontainers replaced, and a Kafka that answers at once."""
    module = types.ModuleType("testcontainers.core.container")
    module.DockerContainer = Container  # type: ignore[attr-defined]
    for name in ("testcontainers", "testcontainers.core"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "testcontainers.core.container", module)
    monkeypatch.setattr(kafka_server, "_answers", lambda *_: True)
    Container.made, Container.trouble = [], None
    return Container


def test_the_container_is_the_locked_kafka_and_tells_clients_the_relays(docker: Any) -> None:
    kafka = kafka_docker.KafkaContainer({"BINDING": 1111, "PROXIED": 2222})
    (made,) = docker.made

    assert made.image == f"apache/kafka:{kafka.version}"
    told = made.env["KAFKA_ADVERTISED_LISTENERS"].split(",")
    assert told == [
        f"RAW://127.0.0.1:{kafka.port}", "BINDING://127.0.0.1:1111", "PROXIED://127.0.0.1:2222",
    ]  # fmt: skip
    bound = {str(each) for each in (kafka.port, *kafka.ports.values())}
    assert set(made.ports) == bound
    assert all(host == ("127.0.0.1", int(port)) for port, host in made.ports.items())
    assert made.env["CLUSTER_ID"] == kafka.cluster
    assert made.env["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_faults_act_on_the_container(docker: Any) -> None:
    kafka = kafka_docker.KafkaContainer()
    kafka.freeze()
    kafka.thaw()
    kafka.kill()
    assert not kafka.alive
    kafka.start()
    assert kafka.alive
    kafka.stop()

    (made,) = docker.made
    assert made.inner.done == ["start", "pause", "unpause", "kill", "start"]
    assert made.stopped


def test_docker_that_does_not_start_it_is_told_and_nothing_is_left(docker: Any) -> None:
    docker.trouble = RuntimeError("no such image")

    with pytest.raises(BrokerError, match="Docker does not start apache/kafka: no such image"):
        kafka_docker.KafkaContainer()
    assert docker.made[0].stopped


def test_without_the_extra_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "testcontainers.core.container", None)

    with pytest.raises(BrokerError, match=r"pip install 'ampy-bus-conformance\[docker\]'"):
        kafka_docker.KafkaContainer()


@pytest.mark.parametrize("kind", ["nats", "memory"])
def test_docker_is_there_for_kafka_alone(kind: str) -> None:
    with pytest.raises(UsageError, match="leave it out"):
        broker.provision(kind, domains=("bars", "dlq"), how="docker")
