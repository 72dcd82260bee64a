"""The driver of {{name}}: thin calls into the binding, for ampy-bus-conformance.

It answers `hello`; everything else is `unsupported` until you write the method. A driver contains
no expectations and adds no behaviour: what your binding cannot do, leave `unsupported`.
The frames are described in the suite's docs/driver-protocol.md.
"""

from __future__ import annotations

from ampy_conformance.kit import Driver, serve


class {{class}}(Driver):
    """One method a frame, named like it; it returns the fields of its answer."""

    identity = {
        "name": "{{name}}",
        "version": "0.0.0",
        "language": "python",
        "broker": "{{broker}}",  # which broker the suite provides
    }
    profiles = ("core",)  # claim more as you write more: delivery, replay, metrics, ...

    # async def open(self, frame):
    #     self.buses[frame["bus"]] = await your_binding.connect(frame["url"])
    #
    # async def open_producer(self, frame): ...
    #
    # async def publish(self, frame):
    #     return {"results": [{"outcome": "ok", "message_id": ...} for each in frame["records"]]}
    #
    # async def subscribe(self, frame): ...
    #     # for each record: self.emit("deliver", subscription=..., delivery=..., topic=...,
    #     #                            headers=..., payload=to_base64(body), attempt=1)
    # async def settle(self, frame): ...
    # async def close(self, frame): ...
    #
    # raise Refused("invalid_topic", "why") answers with an error.


if __name__ == "__main__":
    serve({{class}})
