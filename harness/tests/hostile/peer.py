"""A driver that misbehaves as its first argument says; standard library only.

Each behaviour is a function; it runs after a correct handshake unless it is in `RUDE`.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

OUT = sys.stdout.buffer
LIMIT = 8 * 1024 * 1024


def read():
    """Return the next request; ends with the harness."""
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    return json.loads(line)


def raw(data):
    """Write bytes as they are."""
    OUT.write(data)
    OUT.flush()


def send(frame):
    """Write a frame."""
    raw(json.dumps(frame).encode() + b"\n")


def answer(request, **fields):
    """Answer a request."""
    send({"re": request["id"], "ok": True, **fields})


def hello(**changes):
    """Answer the handshake, with these fields changed."""
    request = read()
    identity = {"name": "hostile", "version": "1", "language": "python", "broker": "memory"}
    fields = {
        "protocol": 1,
        "identity": identity,
        "profiles": ["core", "from-the-future"],
        "capabilities": [],
        "clock": "monotonic",
        "nonce": request["nonce"],
    }
    answer(request, **{**fields, **changes})


def idle():
    """Read requests and answer none."""
    while True:
        read()


def deliver(**changes):
    """Send a delivery."""
    frame = {"event": "deliver", "subscription": "s1", "delivery": "d1", "topic": "t"}
    send({**frame, "headers": {}, "payload": "", "attempt": 1, **changes})


# -- before or instead of the handshake ---------------------------------------------------


def banner():
    """Greet people on standard output."""
    raw(b"Starting driver v1.2 \x1b[31mred\x07\n")
    idle()


def dies_at_once():
    """End with a message, as a driver with a wrong option would."""
    print("fatal: no configuration", file=sys.stderr)
    sys.exit(4)


def silent_hello():
    """Never say hello."""
    idle()


def wrong_nonce():
    """Send another nonce back."""
    hello(nonce="guessed")
    idle()


def wrong_version():
    """Choose a version that was not offered."""
    hello(protocol=99)
    idle()


def nameless():
    """Leave the name out."""
    hello(identity={"version": "1", "language": "python", "broker": "memory"})
    idle()


def refuses_hello():
    """Refuse the handshake."""
    error = {"code": "unsupported", "message": "protocol 2 to 3"}
    send({"re": read()["id"], "ok": False, "error": error})
    idle()


RUDE = (
    banner,
    dies_at_once,
    silent_hello,
    wrong_nonce,
    wrong_version,
    nameless,
    refuses_hello,
)


# -- what is no frame -----------------------------------------------------------------------


def garbage():
    """Print in between."""
    read()
    raw(b"debug: got it\x00\x1b]0;title\x07\n")
    idle()


def not_utf8():
    """Send another encoding."""
    read()
    raw('{"re":2,"ok":true,"text":"é"}\n'.encode("latin-1"))
    idle()


def nul_bytes():
    """Send zeros."""
    read()
    raw(b"\0" * 64 + b"\n")
    idle()


def utf16():
    """Send UTF-16, which the json module would detect by itself."""
    read()
    raw('{"re":2}'.encode("utf-16-le") + b"\n")
    idle()


def deep():
    """Nest deeper than any parser goes."""
    read()
    raw(b"[" * 200_000 + b"\n")
    idle()


def deep_enough():
    """Nest as deep as Python parses, and deeper than the validator."""
    number = read()["id"]
    nested = b'{"a":' * 600 + b"1" + b"}" * 600
    raw(b'{"re":%d,"ok":true,"text":%s}\n' % (number, nested))
    idle()


def a_list():
    """Send no object."""
    read()
    raw(b"[1, 2]\n")
    idle()


def neither():
    """Send an object that is no frame."""
    read()
    send({"hello": "world"})
    idle()


def empty_line():
    """Send an empty line."""
    read()
    raw(b"\n")
    idle()


def twice_named():
    """Name a field twice."""
    raw(b'{"re":%d,"ok":true,"ok":false}\n' % read()["id"])
    idle()


def not_a_number():
    """Use what JSON has not."""
    raw(b'{"re":%d,"ok":true,"t_ns":NaN}\n' % read()["id"])
    idle()


def surrogate():
    """Send half a character."""
    raw(b'{"re":%d,"ok":true,"text":"\\ud800"}\n' % read()["id"])
    idle()


def endless():
    """Send a line that never ends."""
    read()
    while True:
        raw(b"x" * (1 << 20))


def overlong():
    """Send a line of one byte too many, newline included."""
    start, end = b'{"re":2,"ok":true,"text":"', b'"}\n'
    read()
    raw(start + b"x" * (LIMIT + 1 - len(start) - len(end)) + end)
    idle()


def longest():
    """Send a line of exactly the limit: legal."""
    number = read()["id"]
    start, end = b'{"re":%d,"ok":true,"text":"' % number, b'"}\n'
    raw(start + b"x" * (LIMIT - len(start) - len(end)) + end)
    idle()


# -- wrong answers ----------------------------------------------------------------------------


def reversed_order():
    """Answer five requests, the last one first: legal."""
    for request in reversed([read() for _ in range(5)]):
        answer(request, text=str(request["id"]))
    idle()


def answers_twice():
    """Answer again."""
    request = read()
    answer(request, text="")
    answer(request, text="")
    idle()


def unknown_id():
    """Answer what nobody asked."""
    send({"re": 4711, "ok": True, "text": ""})
    idle()


def huge_id():
    """Answer a number with a thousand digits."""
    raw(b'{"re":' + b"9" * 1000 + b',"ok":true}\n')
    idle()


def boolean_id():
    """Answer with true, which Python takes for 1."""
    read()
    send({"re": True, "ok": True})
    idle()


def cannot_read():
    """Say that a request could not be read."""
    read()
    send({"re": 0, "ok": False, "error": {"code": "bad_request", "message": "what?"}})
    idle()


def missing_field():
    """Leave a field of an answer out."""
    answer(read())
    idle()


def wrong_outcome():
    """Use an outcome that does not exist."""
    answer(read(), results=[{"outcome": "yes"}])
    idle()


def too_few_results():
    """Answer one result for two records."""
    answer(read(), results=[{"outcome": "ok"}])
    idle()


def unknown_code():
    """Refuse with a code of one's own."""
    error = {"code": "cosmic_rays", "message": "try later"}
    send({"re": read()["id"], "ok": False, "error": error})
    idle()


def unknown_event():
    """Send an event that does not exist."""
    send({"event": "applause"})
    idle()


def broken_base64():
    """Deliver a payload that is not base64."""
    deliver(payload="c2VjcmV0!")
    idle()


def floods_events():
    """Deliver to nobody, without end."""
    while True:
        deliver()


# -- life and death ---------------------------------------------------------------------------


def dies_in_batch():
    """Answer two of five, then die."""
    requests = [read() for _ in range(5)]
    for each in requests[:2]:
        answer(each, text="")
    print("Traceback: out of luck", file=sys.stderr)
    sys.stderr.flush()
    os._exit(3)


def dies_after_answers():
    """Answer all of five and die in the same instant."""
    lines = [{"re": read()["id"], "ok": True, "text": ""} for _ in range(5)]
    raw(b"".join(json.dumps(each).encode() + b"\n" for each in lines))
    os._exit(0)


def half_a_line():
    """Die in the middle of a line."""
    raw(b'{"re":%d,"ok":tr' % read()["id"])
    os._exit(0)


def killed():
    """Die of a signal."""
    read()
    os.kill(os.getpid(), signal.SIGSEGV)


def closes_input():
    """Close standard input and go on."""
    os.close(0)
    time.sleep(60)


def closes_output():
    """Close standard output and go on."""
    read()
    os.close(1)
    time.sleep(60)


def never_reads():
    """Leave standard input full."""
    time.sleep(60)


def silence():
    """Answer nothing any more."""
    idle()


def floods_stderr():
    """Write 20 MB of complaints, then answer: legal."""
    request = read()
    for number in range(20_000):
        sys.stderr.write(f"{number} " + "x" * 1000 + "\n")
    sys.stderr.write("\x1b[31mlast\n")
    sys.stderr.flush()
    answer(request, text="")
    idle()


def endless_stderr_line():
    """Write a line of 20 MB to standard error, then answer: legal."""
    request = read()
    for _ in range(20):
        sys.stderr.write("y" * (1 << 20))
    sys.stderr.flush()
    answer(request, text="")
    idle()


def leaves_a_child():
    """Die and leave a child behind that holds, and uses, standard output."""
    request = read()
    code = "import time\nwhile True: print('boo', flush=True); time.sleep(0.01)"
    detached = sys.argv[2:] == ["detached"]
    child = subprocess.Popen([sys.executable, "-S", "-c", code], start_new_session=detached)
    print(child.pid, file=sys.stderr, flush=True)
    time.sleep(0.02)
    answer(request, text=str(child.pid))
    os._exit(0)


def stubborn():
    """Say yes to stop and stay."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    answer(read())
    time.sleep(60)


def stops_with_7():
    """End with a wrong exit code."""
    answer(read())
    sys.exit(7)


def polite():
    """Answer everything: legal."""
    while True:
        request = read()
        if request["op"] == "clock":
            answer(request, t_ns=time.monotonic_ns())
        elif request["op"] == "publish":
            answer(request, results=[{"outcome": "ok"} for _ in request["records"]])
        else:
            answer(request, text="", future={"unknown": "field"})
        if request["op"] == "stop":
            sys.exit(0)


def answer_politely(request):
    """Answer what can be answered; the rest is not written yet."""
    op = request["op"]
    if op == "clock":
        answer(request, t_ns=time.monotonic_ns())
    elif op == "hello":
        identity = {"name": "hostile", "version": "1", "language": "python", "broker": "memory"}
        claims = {"profiles": ["core"], "capabilities": [], "clock": "monotonic"}
        answer(request, protocol=1, identity=identity, nonce=request["nonce"], **claims)
    elif op == "stop":
        answer(request)
    else:
        error = {"code": "unsupported", "message": f"no {op}"}
        send({"re": request["id"], "ok": False, "error": error})


def forgets_a_child():
    """Do all that is asked, and leave a child behind at the end."""
    detached = sys.argv[2:] == ["detached"]
    command = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
    quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    child = subprocess.Popen(command, start_new_session=detached, **quiet)
    print(child.pid, file=sys.stderr, flush=True)
    while True:
        request = read()
        answer_politely(request)
        if request["op"] == "stop":
            os._exit(0)


def hangs_later():
    """Answer until the first question after the handshake, then fall silent."""
    answer_politely(read())
    idle()


# -- clocks -----------------------------------------------------------------------------------


def clock_of(stamp):
    """Answer clocks with `stamp(number)`."""
    for number in range(200):
        answer(read(), t_ns=stamp(number))


def clock_ahead():
    """Run ten seconds ahead."""
    clock_of(lambda _: time.monotonic_ns() + 10**10)


def clock_behind():
    """Use the wrong epoch."""
    clock_of(lambda _: 0)


def clock_jumps():
    """Go wrong once, at the last stamp."""
    clock_of(lambda number: time.monotonic_ns() + (10**9 if number == 99 else 0))


def clock_huge():
    """Answer a number without measure."""
    clock_of(lambda _: 10**400)


def clock_refused():
    """Have none."""
    error = {"code": "unsupported", "message": "no clock"}
    while True:
        send({"re": read()["id"], "ok": False, "error": error})


if __name__ == "__main__":
    behaviour = globals()[sys.argv[1]]
    if behaviour not in RUDE:
        hello()
    with contextlib.suppress(BrokenPipeError):
        behaviour()
