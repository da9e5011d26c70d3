#!/usr/bin/env python3
"""Checks a file of `parkmesh export`: python3 check_export.py FILE
That no event was changed, that every exit counts for what its event says unless a correction, a removal or another exit in the file
says otherwise, and that the sums are those of the exits. Exit code: 0 all is so, 1 something is not, 2 no such file."""
import hashlib, json, sys
MONEY = ("VEHICLE_EXIT", "OPENING_UNREAD", "STAY_CORRECTION", "STAY_VOID", "INVOICED")
APART, INVOICE = ("central", "edge_id", "by", "method", "camera_type"), ("at_ms", "number", "code", "amount")
def chained(before, text): return hashlib.sha256(bytes.fromhex(before) + text.encode()).hexdigest()
def doer(by):
    prefix = by["kind"] + ":" if by and by.get("kind") in ("token", "edge", "predecessor", "command") else ""
    return prefix + by["name"] if by and by.get("name") is not None else ""
def stated(event, rights):
    """What an exit counts for: as it says, unless a correction says otherwise. The vehicle type is that of the stay."""
    data = event["data"]
    paid, fee, also = data.get("paid") or {}, data.get("fee"), []
    told = sum(way.get("amount", 0) for way in (paid, *paid.get("also", ())))  # Above 100 million it is paid, and no fee.
    taken = rights.get("fee", told * (told <= 100_000_000) if fee is None else fee)
    method = rights.get("method") or paid.get("method", "free" if taken == 0 else "")
    central, edge, by = data.get("exit_central", event["source_central"]), data.get("exit_edge", data.get("edge_id")), data.get("taken_by")
    for way in (rights if "method" in rights else paid).get("also", ()):
        also.append([way["method"], min(way["amount"], taken - sum(amount for _, amount in also))])
    return {"central": central, "edge_id": edge, "by": doer(by or event.get("by")), "method": method, "also": [part for part in also if part[1] > 0], "revenue": taken, "excess": 0 if rights else max(told - taken, 0)}
def why_not(told, again, events, voids, removed):
    """Whether something in the file says that an exit counts for nothing."""
    place, because = told["fact"], (told["because"] or [""])[0]
    if told["outcome"] in ("repeated", "copy"): return because != place and events.get(because, {}).get("type") == MONEY[0]
    if told["outcome"] == "read": return any((event["data"].get("request_id") or "").endswith(place) for event in events.values())
    same, anew = again.get(place, ()), events[place]["data"].get("request_id")  # A void of what tells it again removes it, but not one in place of another it removes.
    return told["id"] in removed or any(anew not in void["data"]["removes"] and not set(same).isdisjoint(void["data"]["removes"]) for void in voids.values() if same)
def check(lines):
    (wrong, events, exits, sums, counts, found), (head, log, end, span, total) = ([], {}, {}, {}, {}, {}), (None, None, None, None, 0)
    for line in filter(str.strip, lines):
        record = json.loads(line)
        kind = record.pop("record")
        if kind == "export": span = (record["start_ms"], record["end_ms"])
        elif kind == "log":
            log, head = record["log"], record["prev"]
            if record["after"] == 0 and head != hashlib.sha256(log.encode()).hexdigest(): wrong.append(f"{log}: does not begin as a log of this name does")
            counts[log] = (record["after"], record["to"], record["hash"], head)
        elif kind == "event":
            total, place, event, (after, to, last, _) = total + 1, f"{log}/{record['seq']}", json.loads(record["bytes"]), counts[log]
            if record["seq"] != after + 1 or chained(head, record["bytes"]) != record["hash"]:
                wrong.append(f"{place}: the event is not the one that was written there: {record['bytes']}")
            counts[log], head = (record["seq"], to, last, record["hash"]), record["hash"]
            if event.get("type") in MONEY: events[place] = event
        elif kind == "price_list" and chained(record["prev"], record["bytes"]) != record["hash"]: wrong.append(f"price list {record['version']}: not the one that was written")
        elif kind == "exit": exits[record["fact"]] = record
        elif kind == "sum": sums[tuple(record[name] for name in APART)] = (record["exits"], record["revenue"], record.get("excess", 0))
        elif kind == "end": end = record
    wrong += [f"{log}: ends at {at}, and should at {to}, with the hash it names" for log, (at, to, last, hash) in counts.items() if (at, hash) != (to, last)]
    corrections = sorted((event["hlc"], place, event["data"]) for place, event in events.items() if event["type"] == "STAY_CORRECTION")
    undone, (said, roots, passages, rights, again, invoiced) = {void for _, _, data in corrections for void in data.get("undoes", ())}, ({}, {}, {}, {}, {}, {})
    for event in sorted((event for event in events.values() if event["type"] == MONEY[4]), key=lambda event: event["hlc"]):  # In the order they were answered.
        invoiced.setdefault(event["data"]["exit"], []).append(tuple(map({**event["data"], "at_ms": event["timestamp"]}.get, INVOICE)))
    voids = {place: event for place, event in events.items() if event["type"] == "STAY_VOID" and place not in undone}
    removed = {fact for void in voids.values() for fact in void["data"]["removes"]}
    for hlc, place, right in ((hlc, place, data.get(name) or {}) for hlc, place, data in corrections for name in ("right_fee", "right_method")):
        said.setdefault(right.get("exit"), []).append((hlc, place, {"also": [], **right} if "method" in right else right))
    exits_of = sorted((event["hlc"], place, event["data"]) for place, event in events.items() if event["type"] == MONEY[0])
    anew = {place: data["request_id"] for _, place, data in exits_of if data.get("request_id") in removed}
    told = {place: one["because"][0] for place, one in exits.items() if one["outcome"] == "repeated" and one["because"] and not {place, one["because"][0]} & anew.keys()}
    first = lambda exit: told.get(exit, exit)  # What is said of an exit that tells a passage again is of the one that told it first.
    for again_of, of in told.items(): said.setdefault(of, []).extend(said.get(again_of, ()))
    anew = {place: first(of) for place, of in anew.items()}
    for place, of in anew.items():  # What is said of an exit, or of one that is written anew in its place, is said of all of those: the latest counts.
        roots[place], fee = roots.get(of, of), events[place]["data"]["fee"]
        passages[roots[place]] = passages.get(roots[place], []) + said.get(of, []) + said.get(place, [])
        for by, void in ((by, void) for by, void in voids.items() if of in map(first, void["data"]["removes"])):
            follows, known = "/".join([by.rsplit("/", 1)[0], str(void["seq"] + 1)]), void["data"].get("money", ())
            passages[roots[place]] += [(void["hlc"], by, {"fee": 0})] if anew.get(follows) != of else [
                (void["hlc"], by, {"fee": fee}) for change in known if follows == place and first(change["exit"]) == of and change["before"] != fee]
    for exit, all_said in {**said, **{place: passages[roots[place]] for place in anew}}.items():
        for *_, right in sorted(all_said, key=lambda one: one[:2]): rights.setdefault(exit, {}).update(right)
    left = {place for place, event in events.items() if event["type"] == MONEY[0] or event["data"].get("direction") == "EXIT"}
    left = {place for place in left - exits.keys() if span[0] <= events[place]["timestamp"] < span[1]}
    wrong += [f"{place}: an exit of these days, and nothing says what became of it" for place in sorted(left)]
    for other in exits.values(): again.setdefault((other["because"] or [""])[0] if other["outcome"] == "repeated" else None, []).append(other["id"])
    for place, told in exits.items():
        event, counted = events.get(place), told["counts"]
        wrong += [] if event else [f"{place}: said to be an exit, and there is no such event"]
        if event and counted:
            said, counted["also"], counted["excess"] = stated(event, rights.get(told["id"], {})), counted.get("also", []), counted.get("excess", 0)
            wrong += [f"{place}: {name} is {counted[name]!r}, its events say {said[name]!r}" for name in said if counted[name] != said[name]]
            first = (counted["method"], 1, counted["revenue"] - sum(amount for _, amount in counted["also"]), counted["excess"])
            for method, *sum_of in [first, *((method, 0, amount, 0) for method, amount in counted["also"])]:
                key = tuple({**counted, "method": method}[name] for name in APART)
                found[key] = tuple(map(sum, zip(found.get(key, (0, 0, 0)), sum_of)))
        made, taken = told.get("invoices", []), counted["revenue"] if counted else 0
        if [tuple(map(one.get, INVOICE)) for one in made] != invoiced.get(place, []) or any(one.get("taken_now", taken) != taken for one in made):
            wrong.append(f"{place}: its invoices are said to be {made}, and its events say {invoiced.get(place, [])} and {taken} đồng")
        if event and bool(counted) == why_not(told, again, events, voids, removed): wrong.append(f"{place}: {'counts' if counted else 'counts for nothing'}, and what is in the file says otherwise")
    wrong += [f"sum of {key}: {sums.get(key)} exits, đồng, and đồng beyond, and its exits give {found.get(key)}" for key in sorted(sums.keys() | found.keys()) if sums.get(key) != found.get(key)]
    number, revenue, _ = map(sum, zip((0, 0, 0), *found.values()))
    if None in (span, end) or (end["events"], end["exits"], end["counted"], end["revenue"]) != (total, len(exits), number, revenue):
        wrong.append(f"the last line says {end}, and the file holds {total} events, {number} exits that count, {revenue} đồng")
    return wrong, f"{total} events in {len(counts)} logs, {len(exits)} exits of which {number} count, {revenue} đồng"
if __name__ == "__main__":
    try:
        with open(sys.argv[1], encoding="utf-8-sig") as file:
            faults, summary = check(file)
    except (IndexError, OSError, ValueError, KeyError, TypeError) as problem:
        sys.exit(print(f"no file of parkmesh export: {problem!r}", file=sys.stderr) or 2)
    print(*faults, summary, "WRONG" if faults else "OK", sep="\n")
    sys.exit(1 if faults else 0)
