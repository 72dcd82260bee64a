"""Make `spec/descriptors.binpb`: ampy-proto's types and our own control messages."""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pb2

from ampy_conformance._errors import UsageError

if TYPE_CHECKING:
    from google.protobuf.descriptor import FileDescriptor

    from ampy_conformance.contract.model import Contract


class NoCompiler(UsageError):
    """The compiler of .proto files is not installed."""


def build(contract: Contract) -> bytes:
    """Return the descriptor set, the same bytes for the same sources.

    Needs grpcio-tools and ampy-proto, which running the suite does not.
    """
    files: dict[str, descriptor_pb2.FileDescriptorProto] = {}
    for domain in contract.domains.values():
        if domain.package and not domain.own_major:
            leaf = domain.package.rpartition(".")[2]
            module = importlib.import_module(f"{domain.package}.v1.{leaf}_pb2")
            _collect(module.DESCRIPTOR, files)
    for name, each in _own(contract.root / "proto").items():
        files.setdefault(name, each)
    return descriptor_pb2.FileDescriptorSet(file=_sorted(files)).SerializeToString(
        deterministic=True
    )


def _collect(file: FileDescriptor, into: dict[str, descriptor_pb2.FileDescriptorProto]) -> None:
    for each in file.dependencies:
        _collect(each, into)
    if file.name not in into:
        proto = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(proto)
        into[file.name] = proto


def _own(folder: Path) -> dict[str, descriptor_pb2.FileDescriptorProto]:
    try:
        from grpc_tools import protoc  # noqa: PLC0415 (only a build of the descriptors needs it)
    except ImportError as error:
        raise NoCompiler(
            "building descriptors needs grpcio-tools: pip install grpcio-tools"
        ) from error
    wanted = sorted(str(each.relative_to(folder)) for each in folder.rglob("*.proto"))
    include = Path(protoc.__file__).parent / "_proto"
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / "own.binpb"
        line = ["protoc", f"-I{folder}", f"-I{include}", "--include_imports"]
        main: Any = protoc.main
        if main([*line, f"--descriptor_set_out={target}", *wanted]):
            raise UsageError(f"the .proto files in {folder} do not compile")
        found = descriptor_pb2.FileDescriptorSet.FromString(target.read_bytes())
    for each in found.file:
        each.ClearField("source_code_info")
    return {each.name: each for each in found.file}


def _sorted(
    files: dict[str, descriptor_pb2.FileDescriptorProto],
) -> list[descriptor_pb2.FileDescriptorProto]:
    """Return the files so that each stands behind what it imports, otherwise by name."""
    done: dict[str, descriptor_pb2.FileDescriptorProto] = {}

    def place(name: str) -> None:
        if name not in done:
            for each in files[name].dependency:
                place(each)
            done[name] = files[name]

    for name in sorted(files):
        place(name)
    return list(done.values())
