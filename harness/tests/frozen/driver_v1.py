"""A driver as it was written for protocol 1; frozen: it must go on working, unchanged.

Standard library only, and only the frames and fields of the first day. Do not edit: a change
that would need an edit here breaks every driver out there.
"""

import base64
import json
import sys
import time

LOG = []


def out(frame):
    sys.stdout.write(json.dumps(frame) + "\n")
    sys.stdout.flush()


def hello(frame):
    return {
        "protocol": 1,
        "identity": {"name": "frozen", "version": "1.0", "language": "python", "broker": "memory"},
        "profiles": ["core", "delivery"],
        "capabilities": ["durable_state"],
        "clock": "monotonic",
        "nonce": frame["nonce"],
    }


def clock(_):
    return {"t_ns": time.monotonic_ns()}


def done(_):
    return {}


def publish(frame):
    results = []
    for record in frame["records"]:
        base64.b64decode(record["payload"], validate=True)
        LOG.append(record)
        results.append({"outcome": "ok", "message_id": f"m{len(LOG)}", "position": str(len(LOG))})
    return {"results": results}


def subscribe(frame):
    for number, record in enumerate(LOG, 1):
        out(
            {
                "event": "deliver",
                "subscription": frame["subscription"],
                "delivery": f"d{number}",
                "topic": record["topic"],
                "headers": {"message_id": f"m{number}"},
                "payload": record["payload"],
                "attempt": 1,
                "position": str(number),
            }
        )
    return {"consumers": []}


def settle(frame):
    results = [
        {"delivery": each["delivery"], "recorded": each["verdict"] == "ack", "ack": "ok"}
        for each in frame["verdicts"]
    ]
    return {"results": results}


KNOWN = {
    "hello": hello,
    "clock": clock,
    "open": done,
    "open_producer": done,
    "publish": publish,
    "subscribe": subscribe,
    "credit": done,
    "settle": settle,
    "unsubscribe": done,
    "close": done,
    "stop": done,
}

for line in sys.stdin:
    request = json.loads(line)
    known = KNOWN.get(request["op"])
    if known is None:
        error = {"code": "unsupported", "message": "unknown frame"}
        out({"re": request["id"], "ok": False, "error": error})
        continue
    out({"re": request["id"], "ok": True, **known(request)})
    if request["op"] == "stop":
        break
