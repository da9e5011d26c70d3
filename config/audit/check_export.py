#!/usr/bin/env python3
"""Checks a file of `parkmesh export`: python3 check_export.py FILE

That no event was changed since it was written, that every exit counts for what its event and its corrections say, and that the
sums are those of the exits. Files of two centrals name the same hashes. Exit code: 0 all is so, 1 something is not, 2 no such file."""
import hashlib
import json
import sys

MONEY = ("VEHICLE_EXIT", "OPENING_UNREAD", "STAY_CORRECTION")
APART = ("central", "edge_id", "by", "method", "camera_type")


def chained(before, text):
    return hashlib.sha256(bytes.fromhex(before) + text.encode()).hexdigest()


def doer(event):
    by = event.get("data", {}).get("taken_by") or event.get("by") or {}
    prefix = by.get("kind") + ":" if by.get("kind") in ("token", "edge", "predecessor", "command") else ""
    return prefix + by["name"] if by.get("name") is not None else ""


def stated(event, corrections, exit_id):
    """What an exit was taken for, and how: as it says, unless a correction of it says otherwise."""
    paid, fee = event["data"].get("paid") or {}, event["data"].get("fee")
    said = [right for by in corrections for right in (by["data"].get("right_fee"), by["data"].get("right_method")) if right]
    right = {name: value for right in said if right["exit"] == exit_id for name, value in right.items()}
    taken = right.get("fee", paid.get("amount", 0) if fee is None else fee)
    return taken, right.get("method") or paid.get("method", "free" if taken == 0 else "")


def check(lines):
    wrong, events, exits, sums, counts, found = [], {}, {}, {}, {}, {}
    head, log, end, span, total = None, None, None, None, 0
    for line in lines:
        record = json.loads(line)
        kind = record.pop("record")
        if kind == "export":
            span = (record["start_ms"], record["end_ms"])
        elif kind == "log":
            log, head = record["log"], record["prev"]
            if record["after"] == 0 and head != hashlib.sha256(log.encode()).hexdigest():
                wrong.append(f"{log}: does not begin as a log of this name does")
            counts[log] = (record["after"], record["to"], record["hash"])
        elif kind == "event":
            total += 1
            place, event = f"{log}/{record['seq']}", json.loads(record["bytes"])
            after, to, last = counts[log]
            if record["seq"] != after + 1 or chained(head, record["bytes"]) != record["hash"]:
                wrong.append(f"{place}: the event is not the one that was written there: {record['bytes']}")
            counts[log], head = (record["seq"], to, last), record["hash"]
            if record["seq"] == to and head != last:
                wrong.append(f"{log}: does not end with the hash it names")
            if event.get("type") in MONEY:
                events[place] = event
        elif kind == "price_list" and chained(record["prev"], record["bytes"]) != record["hash"]:
            wrong.append(f"price list {record['version']}: not the one that was written")
        elif kind == "exit":
            exits[record["fact"]] = record
        elif kind == "sum":
            sums[tuple(record[name] for name in APART)] = (record["exits"], record["revenue"])
        elif kind == "end":
            end = record
    if span is None:
        raise ValueError("it does not begin as one")
    wrong += [f"{log}: ends at {at}, not at {to}" for log, (at, to, _) in counts.items() if at != to]
    for place, event in events.items():
        leaves = event["type"] == "VEHICLE_EXIT" or event["data"].get("direction") == "EXIT"
        if leaves and span[0] <= event["timestamp"] < span[1] and place not in exits:
            wrong.append(f"{place}: an exit of these days, and nothing says what became of it")
    for place, told in exits.items():
        event, counted = events.get(place), told["counts"]
        if event is None:
            wrong.append(f"{place}: counts as an exit, and there is no such event")
        elif counted:
            corrections = [events[by] for by in told["because"] if events.get(by, {}).get("type") == "STAY_CORRECTION"]
            amount, method = stated(event, corrections, told["id"])
            for name, is_so in (("revenue", amount), ("method", method), ("by", doer(event))):
                if counted[name] != is_so:
                    wrong.append(f"{place}: {name} is {counted[name]!r}, and its events say {is_so!r}")
            key = tuple(counted[name] for name in APART)
            found[key] = tuple(map(sum, zip(found.get(key, (0, 0)), (1, counted["revenue"]))))
    for key in sorted(sums.keys() | found.keys()):
        if sums.get(key) != found.get(key):
            wrong.append(f"sum of {key}: {sums.get(key)} exits and đồng, and its exits give {found.get(key)}")
    number, revenue = (sum(column) for column in zip((0, 0), *found.values()))
    if end is None or (end["events"], end["exits"], end["counted"], end["revenue"]) != (total, len(exits), number, revenue):
        wrong.append(f"the file is not whole: its last line says {end}")
    return wrong, f"{total} events in {len(counts)} logs, {len(exits)} exits of which {number} count, {revenue} đồng"


if __name__ == "__main__":
    try:
        with open(sys.argv[1], encoding="utf-8") as file:
            faults, summary = check(file)
    except (IndexError, OSError, ValueError, KeyError, TypeError) as problem:
        sys.exit(print(f"no file of parkmesh export: {problem!r}", file=sys.stderr) or 2)
    print(*faults, summary, "WRONG" if faults else "OK", sep="\n")
    sys.exit(1 if faults else 0)
