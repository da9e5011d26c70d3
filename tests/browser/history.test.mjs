// The history: found by plate and gate, turned page by page, told, corrected, removed, and given to a spreadsheet.

import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { inflateRawSync } from "node:zlib";
import { Central, equal, eventually, live, mesh, ok, openPage, root, says, settled, test, textOf } from "./harness.mjs";

const plates = (page) => page.$$eval("#rows .open", (all) => all.map((one) => one.textContent.replace(/\W/g, "")));
const shows = (page, wanted) =>
  eventually(`the rows are ${wanted}`, async () => JSON.stringify(await plates(page)) === JSON.stringify(wanted));

/** Pictures for people to look at: wide and on a phone. */
async function shown(page, name) {
  mkdirSync(join(root, "target/screenshots"), { recursive: true });
  for (const [kind, width, height] of [["phone", 360, 740], ["wide", 1366, 900]]) {
    await page.setViewportSize({ width, height });
    await settled(page);
    await page.screenshot({ path: join(root, `target/screenshots/${name}-${kind}.png`), fullPage: true });
  }
}

test("the history is searched, filtered and turned", async () => {
  const central = await new Central("central-1").start();
  const all = Array.from({ length: 120 }, (_, number) => `29A${10_000 + number}`);
  for (const plate of all) await central.enter(`edge-${1 + (Number(plate.slice(3)) % 2)}`, plate);
  all.reverse();
  const page = await openPage(`${central.url}/history`);
  await live(page);
  await shows(page, all.slice(0, 50));
  await page.click("#older");
  await shows(page, all.slice(50, 100));
  await page.click("#older");
  await shows(page, all.slice(100));
  ok(await page.isDisabled("#older"), "the last page has no next");
  await page.click("#newer");
  await shows(page, all.slice(50, 100));
  await page.click("#newest");
  await shows(page, all.slice(0, 50));

  await page.fill("#search", "29a 1000");
  await shows(page, all.filter((plate) => plate.includes("1000")));
  await page.click("#more");
  await page.selectOption("#gate", "central-1/edge-1");
  const found = all.filter((plate) => plate.includes("1000") && Number(plate.slice(3)) % 2 === 0);
  await shows(page, found);
  await page.reload();
  await shows(page, found);
  equal(await page.inputValue("#search"), "29a 1000", "what is looked for stands in the address");
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#export")]);
  const table = readFileSync(await download.path(), "utf8");
  ok(table.startsWith("\ufeffBiển số;") && table.trim().split("\r\n").length === found.length + 1, table);
  await page.fill("#search", "ZZ");
  await says(page, "#nothing", "Không có lượt xe nào khớp");
  await page.click("#clear");
  await shows(page, all.slice(0, 50));
  await page.done();
});

test("days stand as people here write them whatever the language of the browser, and what is none is asked for nowhere", async () => {
  const central = await new Central("central-1").start();
  await central.enter("edge-1", "29A12345");
  const page = await openPage(`${central.url}/history?by=entry&from=2026-01-12T00:00`, { width: 360, height: 740 });
  await live(page);
  await shows(page, ["29A12345"]);
  equal(await page.evaluate(() => navigator.language), "en-US", "where a field of the browser would show 01/12");
  equal(await page.inputValue("#from"), "12/01/2026 00:00");
  await page.fill("#to", "1/12/2020 9h");
  await page.press("#to", "Tab");
  equal(await page.inputValue("#to"), "01/12/2020 09:00");
  await says(page, "#nothing", "Không có lượt xe nào khớp");
  ok(new URL(page.url()).searchParams.get("to") === "2020-12-01T09:00", page.url());
  const address = page.url();
  await page.fill("#to", "31/2/2026");
  await page.press("#to", "Tab");
  await says(page, "#to-problem", "Hãy viết ngày như 30/11/2026");
  ok(await page.isVisible("#to-problem"), "it is seen");
  equal(page.url(), address, "and looked for by nothing else");
  await page.screenshot({ path: join(root, "target/screenshots/history-no-day.png") });
  // Picked from the calendar.
  await page.locator("#to ~ .picker input").evaluate((picker) => { picker.value = "2031-02-03T04:05"; picker.dispatchEvent(new Event("change", { bubbles: true })); });
  equal(await page.inputValue("#to"), "03/02/2031 04:05");
  await shows(page, ["29A12345"]);
  ok(await page.locator("#to-problem").count() === 0, "nothing is wrong any more");
  equal(await page.locator("input[type=date], input[type=datetime-local]").evaluateAll((all) => all.filter((one) => getComputedStyle(one).opacity !== "0").map((one) => one.id)), [], "no day as the browser has it");
  await page.done();
});

test("a visit is one line on a desk", async () => {
  const { central, as } = await withPeople("central-1", ["an", "Bình"]);
  const told = (type, hoursAgo, data) => as("Bình", "/api/edge/event", { type, camera_id: "edge-1", event_id: type, timestamp: Date.now() / 1000 - hoursAgo * 3600, data: { plate_text: "29A12345", ...data } });
  await told("ENTRY", 2, {});
  await told("EXIT", 1, { fee: 25_000, paid: { method: "transfer" } });
  const page = await openPage(`${central.url}/history`);
  await live(page);
  await says(page, "#rows", "Chuyển khoản · Bình");
  const [height] = await page.$$eval("#rows tr", (rows) => rows.map((row) => row.offsetHeight));
  ok(height <= 44, `${height} px`);
  await page.done();
});

test("the takings of a day are counted by the hour of leaving and told by gate", async () => {
  const central = await new Central("central-1", { edges: [{ id: "edge-2", name: "Cổng A ra", direction: "EXIT" }] }).start();
  const out = (edge, plate, fee) => central.call("POST", "/api/edge/barrier/open", { edge_id: edge, plate_id: plate, direction: "EXIT", force: true, fee });
  await central.enter("edge-1", "29A12345");
  await out("edge-2", "30A99999", 20000);
  await out("edge-2", "30A88888", 5000);
  await out("edge-3", "30A77777", 12000);
  const page = await openPage(`${central.url}/history`);
  await live(page);
  await page.click("[data-view=today]");
  await says(page, "#takings-revenue", "37.000 đ");
  await says(page, "#takings-gate", "Cổng A ra");
  await says(page, "#rows .out", "Cổng A ra");
  equal(await page.locator("#takings-gate tr").count(), 2, "gates that took something");
  await says(page, "#sum-fee", "37.000 đ");
  // On paper it says whose list it is and of which day.
  await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
  await page.emulateMedia({ media: "print" });
  await says(page, "#print-head", "Theo giờ ra · in lúc");
  await says(page, "#print-head", "central-1 · ");
  ok(await page.isVisible(".print-sign"), "with a line to sign");
  await settled(page);
  await page.screenshot({ path: join(root, "target/screenshots/history-print.png"), fullPage: true });
  ok(await page.isHidden(".topbar") && await page.isHidden("#filters"), "and what is no list is not printed");
  await page.emulateMedia({ media: "screen" });
  // Who is inside has not left.
  await shows(page, ["30A77777", "30A88888", "30A99999"]);
  const chosen = await page.inputValue("#day");
  await page.click("#day-before");
  await says(page, "#takings-revenue", "0 đ");
  await says(page, "#nothing", "Không có lượt xe nào khớp");
  await page.click("#day-after");
  equal(await page.inputValue("#day"), chosen);
  await page.selectOption("#by", "entry");
  await eventually("who came in that day", async () => (await plates(page)).includes("29A12345"));
  // Sums of the whole day do not stand beside a list that is of something else.
  await page.waitForSelector("#takings", { state: "hidden" });
  await page.selectOption("#by", "exit");
  await page.waitForSelector("#takings", { state: "visible" });
  for (const other of ["[data-view=anomalies]", "[data-view=void]", "[data-view=exits]"]) {
    await page.click(other);
    await page.waitForSelector("#takings", { state: "hidden" });
    await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
    ok((await page.textContent("#print-head")).includes(await page.textContent(other)), "and on paper it says of what");
    await page.click("[data-view='']");
    await page.waitForSelector("#takings", { state: "visible" });
  }
  await page.fill("#search", "30A");
  await page.waitForSelector("#takings", { state: "hidden" });
  await page.done();
});

/** A central with people: `as(name)` calls as one of them. */
async function withPeople(id, names, settings) {
  const central = await new Central(id, { security: { admin: "password" }, ...settings }).start();
  const code = await central.firstCode();
  const sent = async (path, body, cookie = "") => {
    const answer = await fetch(central.url + path, { method: "POST", headers: { "Content-Type": "application/json", Cookie: cookie }, body: JSON.stringify(body) });
    const found = await answer.json();
    if (!found.success) throw new Error(`${path}: ${JSON.stringify(found)}`);
    return { ...found, cookie: answer.headers.get("set-cookie")?.split(";")[0] };
  };
  const password = "ba con voi";
  const first = await sent("/api/access/code", { code, name: names[0], password });
  const cookies = { [names[0]]: first.cookie };
  for (const name of names.slice(1)) {
    await sent("/api/access/people", { name, role: "operator", password }, first.cookie);
    cookies[name] = (await sent("/api/access/login", { name, password })).cookie;
  }
  return { central, cookies, as: (name, path, body) => sent(path, body, cookies[name]) };
}

test("an answer that breaks off in its middle is no answer", async () => {
  const central = await new Central("central-1").start();
  await central.enter("edge-1", "29A12345");
  const page = await openPage(`${central.url}/login`);
  await live(page);
  await page.route("**/api/parking/history?*", (route) => route.fulfill({ status: 200, contentType: "application/json", body: '{"success": true, "history": [' }));
  await page.goto(`${central.url}/history`);
  await says(page, "#said", "Máy chủ không trả lời");
  await page.done();
});

test("takings are told by gate, person, way of payment and type, and sum to the figures", async () => {
  const edges = [{ id: "edge-1", name: "Cổng A vào", direction: "ENTRY" }, { id: "edge-2", name: "Cổng A ra", direction: "EXIT" }, { id: "edge-3", name: "Cổng B ra", direction: "EXIT" }];
  const { central, cookies, as } = await withPeople("central-1", ["an", "Bình", "Chi"], { edges });
  const open = (who, body) => as(who, "/api/edge/barrier/open", body);
  const leave = (who, edge_id, plate_id, fee, method) => open(who, { edge_id, plate_id, direction: "EXIT", force: true, fee, ...(method ? { paid: { method } } : {}) });
  for (let car = 0; car < 6; car += 1) await open("an", { edge_id: "edge-1", plate_id: `29A1000${car}`, camera_type: car % 2 ? "moto" : "car", direction: "ENTRY" });
  await leave("Bình", "edge-2", "29A10000", 25_000, "cash");
  await leave("Bình", "edge-2", "29A10001", 5_000, "qr");
  await leave("Bình", "edge-3", "29A10002", 50_000, "qr");
  await leave("Chi", "edge-3", "29A10003", 7_000, "cash");
  await leave("Chi", "edge-3", "30A99999", 11_000, "account");
  // No way to pay, and nothing due.
  await leave("Chi", "edge-2", "29A10004", 1_000);
  await leave("Chi", "edge-2", "29A10005", 0);
  // Out once more, and a fee put right afterwards.
  await leave("Bình", "edge-2", "29A10002", 3_000, "cash");
  const wrong = (await central.call("GET", "/api/parking/history?search=29A10003")).history[0].event_id;
  const right = await fetch(`${central.url}/api/parking/history/${wrong}`, { method: "PUT", headers: { "Content-Type": "application/json", Cookie: cookies.an }, body: JSON.stringify({ fee: 6_000, reason: "thối nhầm" }) });
  equal(right.status, 200, await right.text());

  // Who came in unseen is shown as everybody else.
  equal((await central.call("GET", "/api/parking/history?search=30A99999")).history[0].plate_view, "30A-999.99");
  const page = await openPage(`${central.url}/`);
  await live(page);
  const stats = await central.call("GET", "/api/stats");
  await says(page, "#revenue", "101.000 đ");
  equal(stats.revenue_today, 101_000);
  // One press.
  await page.click("#revenue");
  await says(page, "#takings-revenue", "101.000 đ");
  const sums = (id) => page.$$eval(`#takings-${id} tr`, (rows) => Object.fromEntries(rows.map((row) => [row.cells[0].innerText, `${row.cells[1].innerText}: ${row.cells[2].innerText}`])));
  const wanted = {
    gate: { "Cổng B ra": "3: 67.000 đ", "Cổng A ra": "5: 34.000 đ" },
    person: { "Bình": "4: 83.000 đ", "Chi": "4: 18.000 đ" },
    method: { "QR": "2: 55.000 đ", "Tiền mặt": "3: 34.000 đ", "Ghi nợ": "1: 11.000 đ", "Không ghi cách trả": "1: 1.000 đ", "Không thu": "1: 0 đ" },
    // Exits without an entry, which told no type.
    type: { "Ô tô": "3: 76.000 đ", "Chưa rõ loại": "2: 14.000 đ", "Xe máy": "3: 11.000 đ" },
  };
  for (const [part, rows] of Object.entries(wanted)) await eventually(`${part}: ${JSON.stringify(await sums(part))}`, async () => JSON.stringify(await sums(part)) === JSON.stringify(rows));
  for (const gate of stats.gates.filter(({ exits }) => exits > 0)) {
    const name = edges.find(({ id }) => id === gate.edge_id).name;
    equal((await sums("gate"))[name].replace(/\D/g, ""), `${gate.exits}${gate.revenue}`, name);
  }
  // Forced ones and such without an entry are listed, and lead to their story.
  await says(page, "#takings-odd-title", "Cần xem lại: ");
  await page.click("#takings-odd-title");
  const odd = await page.locator("#takings-odd").innerText();
  ok(odd.includes("30A-999.99") && odd.includes("Ra không có lượt vào"), odd);
  await shown(page, "takings");
  // Of one gate and one person, with their sum above and below the list.
  await page.click("#takings-gate tr:has-text('Cổng B ra') button");
  await page.click("#takings-person tr:has-text('Chi') button");
  await says(page, "#takings-revenue", "17.000 đ");
  await shows(page, ["30A99999", "29A10003"]);
  await says(page, "#sum-fee", "17.000 đ");
  await says(page, "#rows", "Ghi nợ · Chi");
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#export")]);
  const table = readFileSync(await download.path(), "utf8").trim().split("\r\n").map((line) => line.split(";"));
  equal(table.slice(1).map((line) => [line[table[0].indexOf("Cách trả")], line[table[0].indexOf("Người thu")]]), [["Ghi nợ", "Chi"], ["Tiền mặt", "Chi"]]);
  await page.click("#takings-person tr:has-text('Chi') button");
  await says(page, "#takings-revenue", "67.000 đ");
  // What was due and not said to be paid, and what cost nothing; in the month as on the day.
  const today = await page.inputValue("#day");
  ok(today, "the takings of this day are shown");
  await page.click("[data-view=month]");
  // On the first of a month it is a month of one day.
  await says(page, "#takings-title", today.startsWith("01/") ? "Doanh thu ngày 01/" : "Doanh thu từ 01/");
  equal(await page.getAttribute("[data-view=month]", "aria-pressed"), "true");
  await page.click("#takings-gate tr:has-text('Cổng B ra') button");
  await says(page, "#takings-revenue", "101.000 đ");
  await page.click("#takings-method tr:has-text('Không ghi cách trả') button");
  await says(page, "#takings-revenue", "1.000 đ");
  await shows(page, ["29A10004"]);
  await page.click("#takings-method tr:has-text('Không ghi cách trả') button");
  await page.click("#takings-method tr:has-text('Không thu') button");
  await shows(page, ["29A10005"]);
  await page.click("#clear");
  await page.click("[data-view=today]");
  await page.click("#rows tr:has-text('30A-999.99') .open");
  await says(page, ".summary", "Ghi nợ 11.000 đ");
  await says(page, ".summary", "Chi");
  await says(page, "#story .facts", "Xe ra tại Cổng B ra lúc");
  await shown(page, "takings-story");
  await page.done();
});

/** The files of a zip, by name. */
function unzipped(bytes) {
  const files = {};
  // From the list at the end: name, method, where it lies.
  let at = bytes.readUInt32LE(bytes.lastIndexOf(Buffer.from("PK\x05\x06")) + 16);
  while (bytes.readUInt32LE(at) === 0x02014b50) {
    const [method, packed, name, extra, comment, from] = [bytes.readUInt16LE(at + 10), bytes.readUInt32LE(at + 20), bytes.readUInt16LE(at + 28), bytes.readUInt16LE(at + 30), bytes.readUInt16LE(at + 32), bytes.readUInt32LE(at + 42)];
    const data = from + 30 + bytes.readUInt16LE(from + 26) + bytes.readUInt16LE(from + 28);
    const content = bytes.subarray(data, data + packed);
    files[bytes.toString("utf8", at + 46, at + 46 + name)] = (method === 8 ? inflateRawSync(content) : content).toString("utf8");
    at += 46 + name + extra + comment;
  }
  return files;
}

test("the workbook has the rows of the page, as numbers and times, and its sum", async () => {
  const central = await new Central("central-1").start();
  for (let car = 0; car < 60; car += 1) {
    await central.enter("edge-1", `29A${10_000 + car}`, car % 2 ? "moto" : "car");
    if (car % 3) await central.call("POST", "/api/edge/barrier/open", { edge_id: "edge-2", plate_id: `29A${10_000 + car}`, direction: "EXIT", force: true, fee: 1000 * car });
  }
  await central.enter("edge-1", "51E00123");
  const page = await openPage(`${central.url}/history`);
  await live(page);
  await page.click("[data-view=today]");
  await says(page, "#sum-count", "Tổng cộng: 40 lượt");
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#export-book")]);
  ok(/^parkmesh-central-1-\d{4}-\d\d-\d\d\.xlsx$/.test(download.suggestedFilename()), download.suggestedFilename());
  const files = unzipped(readFileSync(await download.path()));
  const sheet = files["xl/worksheets/sheet1.xml"];
  const texts = [...files["xl/sharedStrings.xml"].matchAll(/<t[^>]*>([^<]*)</g)].map(([, text]) => text);
  const cell = (name) => new RegExp(`<c r="${name}"[^>]*>(.*?)</c>`).exec(sheet)?.[1] ?? "";
  const shown = (name) => Number(/<v>([^<]*)</.exec(cell(name))[1]);
  equal(texts[shown("A1")], "Biển số");
  equal([...sheet.matchAll(/<row r=/g)].length, 42, "head, 40 rows, sum");
  const fees = Array.from({ length: 40 }, (_, row) => shown(`K${row + 2}`));
  equal(fees.reduce((sum, fee) => sum + fee, 0), shown("K42"), "what the sum says");
  ok(cell("K42").includes("<f>SUBTOTAL(109,K2:K41)</f>"), cell("K42"));
  equal(await page.textContent("#sum-fee"), `${new Intl.NumberFormat("vi-VN").format(shown("K42"))} đ`, "and the page");
  ok(shown("E2") > 40_000 && shown("E2") % 1 > 0, "a time is a time");
  ok(texts.includes("Ô tô") && !texts.includes("car") && !texts.includes("OUT"), "words, no codes");
  await page.click("[data-view=inside]");
  await page.fill("#search", "51E");
  await shows(page, ["51E00123"]);
  const [inside] = await Promise.all([page.waitForEvent("download"), page.click("#export-book")]);
  ok(unzipped(readFileSync(await inside.path()))["xl/sharedStrings.xml"].includes(">51E00123<"), "a plate is no number");
  await page.done();
});

test("a stay is told, corrected and removed, and the other central tells the same", async () => {
  const [a, b] = mesh(2);
  await Promise.all([a.start(), b.start()]);
  const page = await openPage(`${a.url}/history`, { expected: /400/ });
  await live(page);
  await says(page, "#nothing", "Chưa có lượt xe nào");
  const event = await b.enter("edge-8", "29A12346");
  await shows(page, ["29A12346"]);

  await page.focus("#rows .open");
  await page.keyboard.press("Enter");
  await says(page, "#story .facts", "Xe 29A-123.46 vào tại cổng edge-8 (central-2)");
  await page.click(".amend .btn-outline-secondary");
  await page.fill("#amend-plate_id", "29?");
  await page.keyboard.press("Enter");
  await says(page, "#story", "Hãy ghi lý do.");
  await page.fill("#amend-reason", "đọc nhầm số cuối");
  await page.keyboard.press("Enter");
  await says(page, "#story", "biển số gồm 6 đến 12 chữ");
  await page.fill("#amend-plate_id", "29a 123.45");
  await page.keyboard.press("Enter");
  await says(page, "#story .facts", "Sửa biển số thành 29A-123.45");
  equal(await textOf(page, "#story-title"), "29A-123.45");

  await page.click(".amend .btn-outline-danger");
  await says(page, ".amend form", "Có thể khôi phục sau");
  await page.fill("#amend-reason", "xe nội bộ");
  await page.keyboard.press("Enter");
  await says(page, "#story header", "Đã hủy");
  await page.waitForSelector("#story .amend .btn-outline-danger", { state: "detached" });
  await page.keyboard.press("Escape");
  await page.waitForSelector("#rows tr[data-status=VOID]");
  equal(await page.evaluate(() => document.activeElement.className), "plate open", "the focus is where it was");

  const elsewhere = await openPage(`${b.url}/history#stay=${event}`, { language: "en" });
  await says(elsewhere, "#story .facts", "xe nội bộ");
  await says(elsewhere, "#story header", "29A-123.45");
  await elsewhere.done();
  await page.done();
});

test("type and fee are corrected with what they cost told before and a removal is undone", async () => {
  const central = await new Central("central-1").start();
  await central.call("PUT", "/api/parking/fees", { fees: { fee_base: 0, fee_per_hour: 25000, fee_overnight: 0, fee_daily_max: 0, types: { moto: { fee_base: 0, fee_per_hour: 5000 } } } });
  await central.enter("edge-1", "29A12345");
  // Each begun hour costs: so one has to begin.
  const entered = Date.now();
  await eventually("it stays a second", () => Date.now() > entered + 1000);
  await central.call("POST", "/api/edge/barrier/open", { edge_id: "edge-2", plate_id: "29A12345", direction: "EXIT", force: true, fee: 25000, paid: { method: "cash" } });
  const page = await openPage(`${central.url}/history`);
  await live(page);
  await page.click("#rows .open");
  await page.click(".amend .btn-outline-secondary");
  equal(await page.inputValue("#amend-fee"), "25.000");
  await page.selectOption("#amend-camera_type", "moto");
  await says(page, "#amend-told", "Theo biểu phí: 25.000 đ (Ô tô) → 5.000 đ (Xe máy). Đã thu 25.000 đ");
  await page.fill("#amend-fee", "5 nghìn");
  await page.fill("#amend-reason", "nhầm loại xe");
  await page.keyboard.press("Enter");
  await says(page, "dialog.question", "Sửa số tiền đã thu từ 25.000 đ thành 5.000 đ?");
  await page.click("dialog.question .btn-primary");
  await says(page, "#story .facts", "Sửa loại xe thành Xe máy; Sửa số tiền đã thu từ 25.000 đ thành 5.000 đ");
  await says(page, "#toasts", "Loại xe: Xe máy. Theo biểu phí là 5.000 đ; đã thu 25.000 đ. Đã thu: 25.000 đ → 5.000 đ");
  await says(page, "#rows .fee", "phí: 25.000 đ");
  await says(page, "#sum-fee", "5.000 đ");
  equal((await central.call("GET", "/api/stats")).revenue_today, 5000, "the day");

  // The receipt says what was taken in the end.
  await page.evaluate(() => { window.print = () => {}; });
  await page.locator("#story button", { hasText: "In phiếu" }).click();
  await page.emulateMedia({ media: "print" });
  const receipt = await page.innerText(".receipt");
  for (const text of ["29A-123.45", "Loại xe\nXe máy", "Cổng\n", "Đã thu\n5.000 đ", "Cách trả\nTiền mặt", "Cảm ơn"]) ok(receipt.includes(text), `${text} on: ${receipt}`);
  await page.screenshot({ path: join(root, "target/screenshots/receipt.png") });
  ok(!receipt.includes("object") && await page.isHidden("#story"), receipt);
  await page.evaluate(() => dispatchEvent(new Event("afterprint")));
  await page.emulateMedia({ media: "screen" });

  await page.click(".amend .btn-outline-danger");
  await page.fill("#amend-reason", "nhầm xe");
  await page.keyboard.press("Enter");
  await says(page, "#story header", "Đã hủy");
  await page.click(".amend .btn-outline-secondary");
  await page.fill("#amend-reason", "hủy nhầm");
  await page.keyboard.press("Enter");
  await says(page, "#story header", "Đã ra");
  await says(page, "#story .facts", "Khôi phục lượt này");
  await says(page, "#sum-fee", "5.000 đ");
  await page.done();
});

test("an opening without a plate gets it, and an exit is given to the car that left", async () => {
  const central = await new Central("central-1").start();
  await central.call("POST", "/api/edge/event", { type: "EXIT", camera_id: 2, data: { plate_text: "UNKNOWN", fee: 20_000 } });
  for (const plate of ["29A12345", "30E54321"]) await central.enter("edge-1", plate);
  await central.call("POST", "/api/edge/barrier/open", { edge_id: "edge-2", plate_id: "29A12345", direction: "EXIT" });
  const page = await openPage(`${central.url}/history?view=anomalies`);
  await live(page);
  await says(page, "#openings-list", "20.000 đ");
  await page.click("#openings-list button");
  await page.fill("#amend-plate_id", "51F 777.77");
  await page.fill("#amend-reason", "xem lại hình");
  await page.click("#openings-list button[type=submit]");
  await says(page, "#rows", "51F-777.77");
  await page.waitForSelector("#openings", { state: "hidden" });
  await page.click("[data-view='']");
  await page.click("#rows .open:text('29A-123.45')");
  await page.click("#story button:text('Lượt ra là của xe khác')");
  await page.fill("#amend-exit_plate_id", "30e 543.21");
  await page.fill("#amend-reason", "nhầm xe");
  await page.click("#story form button[type=submit]");
  const status = async (plate) => (await central.call("GET", `/api/parking/history?search=${plate}`)).history[0].status;
  await eventually("the other car left", async () => (await status("30E54321")) === "OUT" && (await status("29A12345")) === "IN");
});

test("how it was paid is corrected with what it moves told before and after and who did nothing of note can be chosen", async () => {
  const central = await new Central("central-1").start();
  const out = (plate, fee, paid) => central.call("POST", "/api/edge/barrier/open", { edge_id: "edge-2", plate_id: plate, direction: "EXIT", force: true, fee, paid });
  await out("30A99999", 20000, "cash");
  await out("30A88888", 5000, "cash");
  const page = await openPage(`${central.url}/history`);
  await live(page);
  await page.click("[data-view=today]");
  await says(page, "#takings-method", "Tiền mặt\t2\t25.000 đ");
  await page.locator("#rows .open", { hasText: "30A-999.99" }).click();
  await page.click(".amend .btn-outline-secondary");
  equal(await page.locator("#amend-paid option").allInnerTexts(), ["Tiền mặt", "QR", "Thẻ", "Chuyển khoản", "Ghi nợ"]);
  await page.selectOption("#amend-paid", "transfer");
  await says(page, "#amend-told-paid", "Tiền mặt → Chuyển khoản. 20.000 đ được chuyển sang mục Chuyển khoản");
  await page.fill("#amend-reason", "bấm nhầm");
  await page.screenshot({ path: join(root, "target/screenshots/correct-method.png") });
  await page.keyboard.press("Enter");
  await says(page, "#toasts", "Cách trả: Tiền mặt → Chuyển khoản, 20.000 đ.");
  await says(page, "#story .facts", "Sửa cách trả từ Tiền mặt thành Chuyển khoản");
  await page.keyboard.press("Escape");
  await says(page, "#takings-method", "Chuyển khoản\t1\t20.000 đ");
  await says(page, "#takings-method", "Tiền mặt\t1\t5.000 đ");
  await says(page, "#takings-revenue", "25.000 đ");
  await page.locator("#takings-method button", { hasText: "Chuyển khoản" }).click();
  await shows(page, ["30A99999"]);
  await page.locator("#takings-method button", { hasText: "Chuyển khoản" }).click();
  await page.locator("#takings-person button", { hasText: "Không đăng nhập" }).click();
  await shows(page, ["30A88888", "30A99999"]);
  await says(page, "#takings-title", "Không đăng nhập");
  // What counts in the sums and is on no row stands with what has to be looked at.
  await page.locator("#takings-person button", { hasText: "Không đăng nhập" }).click();
  await central.call("POST", "/api/edge/barrier/open", { edge_id: "edge-2", direction: "EXIT", force: true, fee: 7000, reason: "biển số bẩn" });
  await says(page, "#takings-revenue", "32.000 đ");
  await says(page, "#takings-odd", "Không đọc được biển số");
  await says(page, "#takings-odd", "7.000 đ");
  // A car nobody saw come in has no time of coming in, on the page and in the table.
  const table = await (await fetch(`${central.url}/api/parking/history.csv?lang=en`, { signal: AbortSignal.timeout(20_000) })).text();
  const [heads, ...lines] = table.trim().split("\r\n").map((line) => line.split(","));
  const cell = (line, head) => line[heads.indexOf(head)];
  for (const line of lines) equal([cell(line, "Time in"), cell(line, "Gate in"), cell(line, "Duration"), cell(line, "Time out") === ""], ["", "", "", false], line.join());
  await page.done();
});

test("what is paid beyond the fee is said beside the sums until it is given back or kept", async () => {
  const central = await new Central("central-1").start();
  const out = (plate) => central.call("POST", "/api/edge/barrier/open", { edge_id: "edge-2", plate_id: plate, direction: "EXIT", force: true, fee: 25_000, paid: { method: "cash", amount: 30_000 } });
  for (const plate of ["29A12345", "29A12346"]) await out(plate);
  const { day } = await central.call("GET", "/api/stats");
  const page = await openPage(`${central.url}/history?by=exit&day=${day}`);
  await live(page);
  await says(page, "#takings-revenue", "50.000 đ");
  await says(page, "#takings-excess", "Khách trả thừa, không tính vào thu: 10.000 đ");
  const amend = async (plate, change) => {
    await page.locator("#rows .open", { hasText: plate }).click();
    await says(page, "#story .summary", "Trả thừa");
    await page.click(".amend .btn-outline-secondary");
    await change();
    await page.fill("#amend-reason", "khách quay lại");
    await page.keyboard.press("Enter");
    await eventually("it is settled", async () => !(await textOf(page, "#story .summary")).includes("Trả thừa"));
    await page.keyboard.press("Escape");
  };
  await amend("29A-123.45", () => page.selectOption("#amend-paid", "given_back"));
  await says(page, "#takings-excess", "5.000 đ");
  await shown(page, "excess");
  await amend("29A-123.46", () => page.fill("#amend-fee", "30.000"));
  await says(page, "#takings-revenue", "55.000 đ");
  await page.waitForSelector("#takings-excess", { state: "hidden" });
  await page.done();
});

test("what a search found stays on the page while it is asked again", async () => {
  const central = await new Central("central-1").start();
  await central.enter("edge-1", "29A11111");
  const page = await openPage(`${central.url}/history?search=29A11111`);
  await live(page);
  await shows(page, ["29A11111"]);
  // As behind many rows that do not match: the server looks at so many at a time, and gives a place to go on from.
  const held = [];
  await page.route("**/api/parking/history?*", async (route) => {
    const answer = await (await route.fetch()).json();
    if (new URL(route.request().url()).searchParams.has("cursor")) held.push(() => route.fulfill({ json: answer }));
    else await route.fulfill({ json: { ...answer, history: [], next_cursor: `${Date.now() + 60_000}.999999` } });
  });
  await central.enter("edge-1", "29A22222");
  await eventually("the rest is asked for", async () => held.length > 0);
  equal(await plates(page), ["29A11111"], "while a part of the answer is there");
  await Promise.all(held.splice(0).map((answer) => answer()));
  await settled(page);
  equal(await plates(page), ["29A11111"], "and afterwards");
  await page.unroute("**/api/parking/history?*");
  await page.done();
});

test("lists that got no answer are there again by themselves once the central is", async () => {
  const central = await new Central("central-1").start();
  await central.call("PUT", "/api/parking/fees", { fees: { fee_base: 0, fee_per_hour: 1000 } });
  await central.enter("edge-1", "29A11111");
  const lists = [["/history?search=29A1", "#rows", "29A-111.11", "#search"], ["/audit", "#rows", "1.000 đ", "#who"], ["/shifts", "#nothing", "", "#day"]];
  const pages = [];
  for (const [path, place, text] of lists) {
    const page = await openPage(central.url + path, { expected: /ERR_CONNECTION|ERR_EMPTY|WebSocket/ });
    await live(page);
    await says(page, place, text);
    pages.push(page);
  }
  await central.kill();
  for (const [index, [, , , field]] of lists.entries()) {
    await pages[index].dispatchEvent(field, field === "#search" ? "input" : "change");
    await says(pages[index], "#said", "Máy chủ không trả lời");
  }
  await central.start();
  for (const [index, [path, place, text]] of lists.entries()) {
    await eventually(`${path} says nothing of it any more`, async () => (await pages[index].textContent("#said")) === "");
    await says(pages[index], place, text);
    await pages[index].done();
  }
});
