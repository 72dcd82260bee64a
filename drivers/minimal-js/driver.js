// A driver without a kit, made from schemas/driver/protocol.json alone: Node, no dependencies.
//
// Its binding is tiny: it puts envelopes on the memory broker (wire protocol: the docstring of
// harness/ampy_conformance/broker/memory_server.py) and hands records to the handler. It does not
// retry, dedupe, validate or dead-letter anything, and the suite says so.
"use strict";

const crypto = require("node:crypto");
const net = require("node:net");
const readline = require("node:readline");
const zlib = require("node:zlib");

const COMPRESS_OVER = 128 * 1024;

// -- the driver protocol ------------------------------------------------------------------------

class Refused extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

const say = (frame) => process.stdout.write(JSON.stringify(frame) + "\n");
const now = () => Number(process.hrtime.bigint()); // CLOCK_MONOTONIC, nanoseconds

async function answer(request) {
  try {
    const operation = Object.hasOwn(operations, request.op) ? operations[request.op] : null;
    if (!operation) throw new Refused("unsupported", `this driver has no ${request.op}`);
    say({ re: request.id, ok: true, ...(await operation(request)) });
  } catch (error) {
    const code = error instanceof Refused ? error.code : "internal";
    say({ re: request.id, ok: false, error: { code, message: String(error.message).slice(0, 500) } });
  }
  if (request.op === "stop") process.exitCode = 0, process.stdin.destroy(), closeAll();
}

function take(line) {
  let request;
  try {
    request = JSON.parse(line);
  } catch {
    request = null;
  }
  if (request === null || !Number.isInteger(request.id) || typeof request.op !== "string") {
    const error = { code: "bad_request", message: "a line is no request" };
    say({ re: 0, ok: false, error });
    return;
  }
  // Requests on one handle keep their order: each waits for the one before it. Verdicts need not.
  if (["settle", "credit"].includes(request.op)) return void answer(request);
  const lane = request.producer ?? request.subscription ?? request.bus ?? "";
  lanes.set(lane, (lanes.get(lane) ?? Promise.resolve()).then(() => answer(request)));
}

const lanes = new Map();
const buses = new Map();
const producers = new Map();
const subscriptions = new Map();

function known(all, kind, name) {
  if (!all.has(name)) throw new Refused("bad_request", `there is no ${kind} ${name}`);
  return all.get(name);
}

const operations = {
  hello(request) {
    const [low, high] = request.protocol;
    if (low > 1 || high < 1) throw new Refused("unsupported", "this driver speaks protocol 1");
    return {
      protocol: 1,
      identity: { name: "minimal-js", version: "1.0.0", language: "javascript", broker: "memory" },
      profiles: ["core"],
      capabilities: [],
      clock: process.platform === "linux" ? "monotonic" : "none",
      nonce: request.nonce,
    };
  },

  clock: () => ({ t_ns: now() }),

  async open(request) {
    buses.set(request.bus, { link: await Link.to(request.url), stream: request.names.stream });
  },

  open_producer(request) {
    producers.set(request.producer, { ...request, ...known(buses, "bus", request.bus) });
  },

  async publish(request) {
    const producer = known(producers, "producer", request.producer);
    const results = [];
    for (const record of request.records) results.push(await publish(producer, record));
    return { results };
  },

  async subscribe(request) {
    const { link, stream } = known(buses, "bus", request.bus);
    const subscription = { ...request, link, open: new Map(), waiting: [], next: 0 };
    subscriptions.set(request.subscription, subscription);
    link.listeners.set(request.subscription, (event) => offer(subscription, event));
    await link.ask("join", {
      stream,
      group: request.group,
      member: request.member,
      patterns: [request.pattern],
      start: request.start,
      consumer: request.subscription,
      redelivery_ms: 30000,
      max_pending: 256,
    });
    return { consumers: [request.group] };
  },

  credit(request) {
    const subscription = known(subscriptions, "subscription", request.subscription);
    subscription.credit += request.n;
    deliver(subscription);
  },

  async settle(request) {
    const subscription = known(subscriptions, "subscription", request.subscription);
    const results = [];
    for (const each of request.verdicts) results.push(await settle(subscription, each));
    deliver(subscription);
    return { results };
  },

  async unsubscribe(request) {
    const { link } = known(subscriptions, "subscription", request.subscription);
    subscriptions.delete(request.subscription);
    await link.ask("leave", { consumer: request.subscription });
  },

  close(request) {
    const { link } = known(buses, "bus", request.bus);
    buses.delete(request.bus);
    link.socket.destroy();
  },

  stop: () => ({}),
};

function closeAll() {
  for (const { link } of buses.values()) link.socket.destroy();
}

// -- the binding ----------------------------------------------------------------------------------

// A version 7 UUID: milliseconds first, then chance.
function uuid7() {
  const bytes = crypto.randomBytes(16);
  bytes.writeUIntBE(Date.now(), 0, 6);
  bytes[6] = 0x70 | (bytes[6] & 0x0f);
  bytes[8] = 0x80 | (bytes[8] & 0x3f);
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

function envelope(producer, record) {
  let payload = Buffer.from(record.payload, "base64");
  const headers = {
    ...record.headers,
    message_id: uuid7(),
    schema_fqdn: record.schema_fqdn,
    schema_version: record.schema_version ?? "1.0.0",
    content_type: "application/x-protobuf",
    produced_at: new Date().toISOString(),
    producer: producer.name,
    source: producer.source,
    run_id: producer.run_id,
    trace_id: record.trace?.trace_id ?? crypto.randomBytes(16).toString("hex"),
    partition_key: Object.values(record.key).join("."),
  };
  if (record.dedupe_key) headers.dedupe_key = record.dedupe_key;
  if (payload.length > COMPRESS_OVER) {
    payload = zlib.gzipSync(payload);
    headers.content_encoding = "gzip";
  }
  return { topic: record.topic, headers: Object.entries(headers), payload: payload.toString("base64") };
}

async function publish(producer, record) {
  const called_ns = now();
  const made = envelope(producer, record);
  try {
    const { position } = await producer.link.ask("publish", made);
    const message_id = Object.fromEntries(made.headers).message_id;
    return { outcome: "ok", message_id, position, called_ns, returned_ns: now() };
  } catch (error) {
    if (!(error instanceof BrokerRefused)) return { outcome: "info", code: "connection_lost" };
    const codes = { no_stream: "invalid_topic", bad_topic: "invalid_topic", full: "throttled" };
    return { outcome: "fail", code: codes[error.code] ?? error.code, detail: error.message };
  }
}

// Deliveries that the credit does not cover yet wait.
function offer(subscription, event) {
  subscription.waiting.push(event);
  deliver(subscription);
}

function deliver(subscription) {
  while (subscription.waiting.length > 0 && subscription.open.size < subscription.credit) {
    const event = subscription.waiting.shift();
    const headers = Object.fromEntries(event.headers);
    let payload = Buffer.from(event.payload, "base64");
    if (headers.content_encoding === "gzip") {
      try {
        payload = zlib.gunzipSync(payload);
      } catch {
        continue; // no dead letters in this binding: the record stays unacknowledged
      }
    }
    const delivery = `${subscription.subscription}.${++subscription.next}`;
    subscription.open.set(delivery, event.position);
    say({
      event: "deliver",
      subscription: subscription.subscription,
      delivery,
      topic: event.topic,
      headers,
      payload: payload.toString("base64"),
      attempt: event.attempt,
      position: event.position,
      t_ns: now(),
    });
  }
}

async function settle(subscription, { delivery, verdict }) {
  const position = subscription.open.get(delivery);
  if (position === undefined) return { delivery, ack: "fail", code: "expired" };
  subscription.open.delete(delivery);
  const frame = { consumer: subscription.subscription, positions: [position] };
  if (verdict === "ack") await subscription.link.ask("ack", frame);
  else await subscription.link.ask("nak", { ...frame, delay_ms: 100 });
  return { delivery, ack: verdict === "ack" ? "ok" : "info" };
}

// -- the memory broker's client -------------------------------------------------------------------

class BrokerRefused extends Error {
  constructor(code, detail) {
    super(detail);
    this.code = code;
  }
}

class Link {
  static async to(url) {
    const { username, hostname, port, pathname } = new URL(url);
    const link = new Link();
    link.pending = new Map();
    link.listeners = new Map();
    link.next = 0;
    link.socket = net.connect({ host: hostname, port: Number(port), noDelay: true });
    await new Promise((resolve, reject) => {
      link.socket.once("connect", resolve);
      link.socket.once("error", () => reject(new Refused("not_connected", "nobody answers there")));
    });
    const lost = () => {
      for (const { reject } of link.pending.values()) reject(new Error("the connection broke"));
      link.pending.clear();
    };
    link.socket.on("error", lost).on("close", lost);
    readline.createInterface({ input: link.socket, crlfDelay: Infinity }).on("line", (line) => link.hear(line));
    try {
      await link.ask("hello", { lane: pathname.slice(1), token: username });
    } catch (error) {
      throw new Refused(error.code === "denied" ? "denied" : "not_connected", error.message);
    }
    return link;
  }

  ask(op, fields) {
    const id = ++this.next;
    return new Promise((resolve, reject) => {
      this.pending.set(id, { resolve, reject });
      this.socket.write(JSON.stringify({ id, op, ...fields }) + "\n");
    });
  }

  hear(line) {
    const frame = JSON.parse(line);
    if (frame.event === "deliver") return void this.listeners.get(frame.consumer)?.(frame);
    const waiting = this.pending.get(frame.re);
    this.pending.delete(frame.re);
    if (waiting && frame.ok) waiting.resolve(frame);
    else if (waiting) waiting.reject(new BrokerRefused(frame.code, frame.detail));
  }
}

// -- lines in ---------------------------------------------------------------------------------------

console.log = console.error; // standard output is for frames
const lines = readline.createInterface({ input: process.stdin, crlfDelay: Infinity });
lines.on("line", take);
lines.on("close", closeAll); // the suite is gone
