"""The temporal properties once more, stated plainly over one scope's events, slow and obvious."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]


def of(rows: list[Row], *kinds: str) -> list[Row]:
    """Return the events of these kinds, in order."""
    return [each for each in rows if each["kind"] in kinds]


def detail(row: Row, name: str) -> Any:
    """Return a fact of an event's detail."""
    return row.get("detail", {}).get(name)


def publishes(rows: list[Row]) -> list[Row]:
    """Return the publishes, one for each answer (one without any is unknown)."""
    found = []
    for each in of(rows, "invoke"):
        answers = [r for r in of(rows, "ok", "fail", "info") if r.get("uid") == each["uid"]]
        found += [{**each, "outcome": r["kind"]} for r in answers] or [{**each, "outcome": "info"}]
    return found


def oks(rows: list[Row]) -> list[Row]:
    """Return the acknowledged publishes."""
    return [each for each in publishes(rows) if each["outcome"] == "ok"]


def effects(rows: list[Row]) -> list[Row]:
    """Return effects with the delivery that each belongs to and when it was confirmed."""
    found = []
    for each in of(rows, "effect"):
        for d in of(rows, "deliver"):
            if (d["subscription"], d["delivery"]) == (each["subscription"], each["delivery"]):
                confirmed = [
                    r
                    for r in of(rows, "settled")
                    if (r["subscription"], r["delivery"]) == (d["subscription"], d["delivery"])
                    and detail(r, "recorded")
                ]
                found.append(
                    {**d, "delivered": d["seq"], "seq": each["seq"],
                     "confirmed": min((r["seq"] for r in confirmed), default=None),
                     "confirmed_ns": min((r["t_ns"] for r in confirmed), default=None)}
                )  # fmt: skip
    return found


def bodies(rows: list[Row], *kinds: str) -> set[str]:
    """Return the bodies of all events of these kinds."""
    return {each["body_hash"] for each in of(rows, *kinds)}


def audited(rows: list[Row]) -> bool:
    """Tell whether the log was read to its end."""
    return any(detail(each, "audited") for each in rows)


def phantom(rows: list[Row]) -> bool:
    return bool(bodies(rows, "deliver") - bodies(rows, "invoke", "inject"))


def failed_but_visible(rows: list[Row]) -> bool:
    stored, injected = bodies(rows, "audit"), bodies(rows, "inject")
    return any(
        p["outcome"] == "fail"
        and p["body_hash"] in stored
        and p["body_hash"] not in injected
        and not any(
            o["body_hash"] == p["body_hash"] and o["uid"] != p["uid"] and o["outcome"] != "fail"
            for o in publishes(rows)
        )
        for p in publishes(rows)
    )


def raw_lost(rows: list[Row]) -> bool:
    """Tell whether the broker lost what the raw client had stored: then nothing is proven."""
    kept = bodies(rows, "audit", "dlq")
    return any(r.get("position") and r["body_hash"] not in kept for r in of(rows, "inject"))


def lost_from_log(rows: list[Row]) -> bool:
    return (
        audited(rows)
        and not raw_lost(rows)
        and bool({each["body_hash"] for each in oks(rows)} - bodies(rows, "audit", "dlq"))
    )


def skipped(rows: list[Row]) -> bool:
    stored, dead = bodies(rows, "audit"), bodies(rows, "dlq")
    if any(r["kind"] == "mark" and detail(r, "start") not in (None, "earliest") for r in rows):
        return False
    for group in {each["group"] for each in effects(rows)}:
        mine = [each for each in effects(rows) if each["group"] == group]
        handled = {each["body_hash"] for each in mine}
        given = {d["body_hash"] for d in of(rows, "deliver") if d["group"] == group}
        keys = {(each["topic"], each.get("dedupe_key")) for each in mine if each.get("dedupe_key")}
        for p in oks(rows):
            later = any(
                (o["producer"], o["key"], o["topic"]) == (p["producer"], p["key"], p["topic"])
                and o["pseq"] > p["pseq"]
                and o["body_hash"] in handled
                for o in oks(rows)
            )
            body = p["body_hash"]
            if (
                later and body in stored and body not in dead and body not in given
                and (p["topic"], p.get("dedupe_key")) not in keys
            ):  # fmt: skip
                return True
    return False


def proven(a: Row, b: Row) -> bool:
    """Tell whether effect b began after the binding had recorded a, beyond a race of members."""
    if a["confirmed"] is None or b["delivered"] <= a["confirmed"]:
        return False
    return a["subscription"] == b["subscription"] or b["t_ns"] > a["confirmed_ns"] + 250_000_000


def dead(each: Row) -> bool:
    """Tell whether a dead letter was delivered: each group writes its own, under the same id."""
    return ".dlq." in each["topic"]


def double_effect(rows: list[Row]) -> bool:
    return any(
        proven(a, b)
        and not dead(b)
        and (a["group"], a["message_id"].lower(), a["topic"])
        == (b["group"], b["message_id"].lower(), b["topic"])
        for a in effects(rows)
        for b in effects(rows)
    )


def double_effect_by_key(rows: list[Row]) -> bool:
    return any(
        proven(a, b)
        and not dead(b)
        and a.get("dedupe_key") is not None
        and (a["group"], a["topic"], a["dedupe_key"])
        == (b["group"], b["topic"], b.get("dedupe_key"))
        and a["message_id"].lower() != b["message_id"].lower()
        for a in effects(rows)
        for b in effects(rows)
    )


def _out_of_order(rows: list[Row], events: list[Row]) -> bool:
    first: dict[tuple[Any, ...], dict[tuple[int, str], int]] = {}
    for each in events:
        for p in oks(rows):
            if p["body_hash"] == each["body_hash"]:
                lane = first.setdefault((each["group"], p["producer"], p["key"]), {})
                lane[p["pseq"], p["uid"]] = min(
                    lane.get((p["pseq"], p["uid"]), each["seq"]), each["seq"]
                )
    return any(
        one[0] < other[0] and lane[one] > lane[other]
        for lane in first.values()
        for one in lane
        for other in lane
    )


def delivery_order(rows: list[Row]) -> bool:
    return _out_of_order(rows, of(rows, "deliver"))


def order_effects(rows: list[Row]) -> bool:
    return _out_of_order(rows, [each for each in effects(rows) if ".orders." in each["topic"]])


def attempts_beyond_bound(rows: list[Row]) -> bool:
    bounds = [detail(each, "max_attempts") for each in rows if detail(each, "max_attempts")]
    counts: dict[tuple[str, ...], int] = {}
    for each in of(rows, "deliver"):
        mark = (each["group"], each["message_id"].lower(), each["topic"])
        counts[mark] = counts.get(mark, 0) + 1
    return bool(bounds) and any(each > min(bounds) for each in counts.values())


def attempt_numbers(rows: list[Row]) -> bool:
    last: dict[tuple[str, ...], int] = {}
    for each in of(rows, "deliver"):
        mark = (each["subscription"], each["message_id"].lower(), each["position"])
        if each["attempt"] < 1 or each["attempt"] <= last.get(mark, 0):
            return True
        last[mark] = each["attempt"]
    return False


def both_ends(rows: list[Row]) -> bool:
    groups = {each["group"] for each in rows if each.get("group")}
    dead = bodies(rows, "dlq")
    return len(groups) == 1 and any(
        each["confirmed"] is not None and each["body_hash"] in dead for each in effects(rows)
    )


def one_position_two_records(rows: list[Row]) -> bool:
    return any(
        (s["position"], s["topic"]) == (d["position"], d["topic"])
        and s["body_hash"] != d["body_hash"]
        for d in of(rows, "deliver")
        for s in of(rows, "audit")
    )


PROPERTIES = (
    phantom, failed_but_visible, lost_from_log, skipped, double_effect, double_effect_by_key,
    delivery_order, order_effects, attempts_beyond_bound, attempt_numbers, both_ends,
    one_position_two_records,
)  # fmt: skip
