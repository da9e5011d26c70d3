// What needs no browser: the pure modules of the pages.

import { inHand } from "../../static/js/gate/given.js";
import { Queue } from "../../static/js/gate/queue.js";
import { dateText, readDate } from "../../static/js/lib/dates.js";
import { MOST_VND, amountProblem, doubtful, readMoney } from "../../static/js/lib/money.js";
import { equal, test } from "./harness.mjs";

test("amounts are read as people write them and never a thousand times too small", () => {
  const read = {
    25000: ["25000", "25.000", "25,000", "25 000", "25\u00a0000", "25'000", " 25.000 đ", "25.000đ", "25,000 VND", "25 nghìn", "25 ngàn", "25k", "25K", "25 nghìn đồng", "２５０００", "25.000 vnđ", "0025000"],
    3000: ["3.000", "3,000", "3 000", "3k", "3 nghin"],
    1500000: ["1.500.000", "1,500,000", "1,5 triệu", "1.5tr", "1500k", "1.500 nghìn", "1 500 000"],
    0: ["0", "0 đ"],
    2500: ["2,5k", "2.5 nghìn"],
    3: ["3"],
  };
  for (const [wanted, texts] of Object.entries(read)) {
    for (const text of texts) equal(readMoney(text), Number(wanted), text);
  }
  const refused = ["", " ", "đ", "k", "abc", "-5000", "25.00", "25,5", "2.50", "25.000.00", "25.000,00", "25.0000", "1.500,000", "1,5,0", "25 00", "1e5", "0x10", "25 nghìn triệu k", "2,555 5k", "99999999999999999999", "٢٥"];
  for (const text of refused) equal(readMoney(text), null, text);
});

test("what is typed as it is shown is read as it was", () => {
  for (const locale of ["vi-VN", "en-GB"]) {
    const format = new Intl.NumberFormat(locale);
    for (let vnd = 1; vnd < 2e9; vnd = Math.ceil(vnd * 1.37)) equal(readMoney(format.format(vnd)), vnd, `${locale} ${vnd}`);
  }
});

test("a day is read as people here write it and never with its month for its day", () => {
  const read = {
    "2026-12-01": ["1/12/2026", "01/12/2026", " 1.12.2026 ", "1-12-26", "1 12 2026", "01122026", "2026-12-01", "2026-12-1"],
    "2028-02-29": ["29/2/2028"],
    "2026-01-13": ["13/1/2026"],
    "": ["", "  "],
  };
  for (const [wanted, texts] of Object.entries(read)) for (const text of texts) equal(readDate(text), wanted, text);
  for (const text of ["12/13/2026", "31/2/2026", "29/2/2026", "0/1/2026", "1/0/2026", "1/12", "1/12/026", "112026", "hôm nay", "1/12/2026 14:30", "1/12/20266"]) equal(readDate(text), null, text);
  const moments = { "2026-12-01T14:30": ["1/12/2026 14:30", "01122026 14h30", "2026-12-01T14:30", "2026-12-01 14:30:00"], "2026-12-01T00:00": ["1/12/2026"], "2026-12-01T09:00": ["1/12/2026 9h", "1/12/2026, 9:00"] };
  for (const [wanted, texts] of Object.entries(moments)) for (const text of texts) equal(readDate(text, true), wanted, text);
  for (const text of ["1/12/2026 24:00", "1/12/2026 14:60", "1/12/2026 14", "14:30"]) equal(readDate(text, true), null, text);
  for (const said of ["2026-12-01", "2026-12-01T14:30"]) equal(readDate(dateText(said), said.length > 10), said);
  equal([dateText("2026-12-01"), dateText("2026-12-01T14:30"), dateText("")], ["01/12/2026", "01/12/2026 14:30", ""]);
});

test("what is put into the hand is given back, missing, or the cash part of another way", () => {
  const [cash, transfer] = [{ method: "cash" }, { method: "transfer", reference: "PM1" }];
  const all = { ...transfer, amount: 25_000 };
  const table = [
    [cash, null, [{ method: "cash", amount: 25_000 }], 25_000, null, 0],
    [cash, 25_000, [{ method: "cash", amount: 25_000 }], 25_000, null, 0],
    [cash, 100_000, [{ method: "cash", amount: 25_000 }], 25_000, "change", 75_000],
    [cash, 10_000, [{ method: "cash", amount: 10_000 }], 10_000, "short", 15_000],
    [cash, 0, [{ method: "cash", amount: 0 }], 0, "short", 25_000],
    [transfer, null, [all], 25_000, null, 0],
    [transfer, 0, [all], 25_000, null, 0],
    [transfer, 5_000, [{ method: "cash", amount: 5_000 }, { ...transfer, amount: 20_000 }], 25_000, "rest", 20_000],
    [transfer, 30_000, [{ method: "cash", amount: 25_000 }], 25_000, "change", 5_000],
  ];
  for (const [way, given, ways, taken, says, amount] of table) {
    equal(inHand({ due: 25_000, given, way }), { ways, taken, says, amount }, `${way.method} ${given}`);
  }
});

test("an amount below 500 and a change of more than half are asked about", () => {
  const table = [
    [3, null, "small"], [499, null, "small"], [500, null, null], [0, null, null], [25000, null, null],
    [3, 25000, "small"], [12499, 25000, "change"], [12500, 25000, null], [37500, 25000, null], [37501, 25000, "change"],
    [0, 25000, "change"], [25000, 0, "change"], [0, 0, null], [25000, 25000, null],
  ];
  for (const [vnd, before, wanted] of table) equal(doubtful(vnd, before), wanted, `${before} -> ${vnd}`);
});

test("an amount that can be none is told before it is sent", () => {
  const table = [[null, "common.no_amount"], [MOST_VND + 1, "common.amount_too_large"], [MOST_VND, null], [0, null]];
  for (const [vnd, wanted] of table) equal(amountProblem(vnd), wanted, `${vnd}`);
});

test("a car that was let through waits no more under whatever plate its camera read", () => {
  const seen = (plate, atMs) => ({ plate_id: plate, plate_view: plate, camera_type: "", confidence: 0.9, at_ms: atMs });
  // What was read when, what was let through when, and who waits then.
  const table = [
    [[["29A12345", 0]], ["29A12345", 5_000], []],
    [[["29A12346", 0], ["29A12345", 2_000]], ["29A12345", 60_000], [], "misread first, found a minute later"],
    [[["29A12346", 0]], ["29A12345", 150_000], [], "let out under its near plate after a while"],
    [[["29A1234", 0]], ["29A12345", 90_000], [], "a sign was missing"],
    [[["30B99999", 0]], ["29A12345", 10_000], ["30B99999"], "another car"],
    [[["29A12346", 0]], ["29A12345", 240_000], ["29A12346"], "too long ago for one car"],
  ];
  for (const [reads, [plate, ms], waits, why] of table) {
    const queue = new Queue();
    queue.hear(reads.map(([read, atMs]) => seen(read, atMs)));
    queue.settle(plate, ms);
    equal(queue.waiting(ms).map((read) => read.plate), waits, why);
    // The feed tells the same reads again.
    queue.hear(reads.map(([read, atMs]) => seen(read, atMs)));
    equal(queue.waiting(ms).map((read) => read.plate), waits, `${why}, told again`);
  }
});

test("who drove away unnoticed stands in nobody's way", () => {
  const queue = new Queue();
  const seen = (plate, atMs) => ({ plate_id: plate, plate_view: plate, camera_type: "", confidence: 0.9, at_ms: atMs });
  const next = (nowMs, plate) => queue.next(nowMs, plate)?.plate ?? null;
  equal(next(0), null);
  queue.hear([seen("29A11111", 0), seen("30B22222", 90_000), seen("51F33333", 95_000)]);
  equal([next(10_000), next(95_000), next(95_000, "30B22222")], ["29A11111", "30B22222", "51F33333"]);
  // Nobody is surely there: the first of those that wait.
  equal(next(300_000), "29A11111");
  equal(queue.waiting(95_000).map((read) => read.plate), ["29A11111", "30B22222", "51F33333"], "all are still shown, in their order");
});
