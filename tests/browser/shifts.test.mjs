// Shifts as people at a gate and in the office see them: opening, handing over in three presses, sheets, what comes late.

import { join } from "node:path";
import { Central, equal, eventually, here, live, ok, openPage, says, settled, test } from "./harness.mjs";

const PASSWORD = "ba con voi";
const SITE = { security: { admin: "password" }, edges: [{ id: "edge-1", name: "Cổng A ra", direction: "EXIT" }] };

/** A central with people: sep administers, lan and an work at gates. */
async function site() {
  const central = await new Central("central-1", SITE).start();
  const code = await central.firstCode();
  const entered = await fetch(`${central.url}/api/access/code`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ code, name: "sep", password: PASSWORD }) });
  const cookie = entered.headers.get("set-cookie").split(";")[0];
  central.cookie = cookie;
  central.as = async (method, path, body) => (await fetch(central.url + path, { method, headers: { "Content-Type": "application/json", Cookie: cookie }, body: JSON.stringify(body) })).json();
  for (const name of ["lan", "an"]) await central.as("POST", "/api/access/people", { name, role: "operator", password: PASSWORD });
  await central.as("PUT", "/api/parking/fees", { fees: { fee_base: 0, fee_per_hour: 25_000, fee_overnight: 0, fee_daily_max: 0 } });
  return central;
}

const counting = () => {
  window.presses = 0;
  addEventListener("pointerdown", (event) => { if (event.isTrusted) window.presses += 1; }, true);
};
const presses = (page) => page.evaluate(() => { const did = window.presses; window.presses = 0; return did; });
const paid = (central, plate, fee, method) => central.as("POST", "/api/edge/barrier/open", { edge_id: "edge-1", plate_id: plate, direction: "EXIT", force: true, reason: "thử", fee, paid: { method, amount: fee } });

test("a shift is opened in two presses and handed over in three and one for the cash, and the sheet tells what came later", async () => {
  const central = await site();
  const page = await openPage(`${central.url}/gate?edge=edge-1`, { before: counting, expected: /40[0-9]/ });
  await live(page);
  await says(page, "#shift-who", "Chưa mở ca");
  await presses(page);
  await page.click("#shift-press");
  await page.locator("#login-name").type("lan");
  await page.locator("#login-password").type(PASSWORD);
  await page.keyboard.press("Enter");
  await says(page, ".shift-dialog", "Nhập số tiền");
  await page.locator("#shift-opening_cash").fill("500k");
  await page.click(".shift-dialog button[type=submit]");
  await says(page, "#shift-who", "Ca của lan");
  equal(await presses(page), 2, "opening");

  await central.enter("edge-1", "29A11111");
  await paid(central, "29A11111", 25_000, "cash");
  const refused = await paid(central, "29A22222", 40_000, "qr");
  ok(refused.success, JSON.stringify(refused));
  // By sep, who is no person of this shift: nothing of it is counted for Lan.
  equal((await central.call("GET", "/api/shifts?open=1")).shifts[0].figures.exits, 0, "another person's");
  for (const [plate, fee, method] of [["29A33333", 30_000, "cash"], ["29A44444", 15_000, "qr"]]) {
    await central.call("POST", "/api/edge/barrier/open", { edge_id: "edge-1", plate_id: plate, direction: "EXIT", force: true, reason: "thử", fee, paid: { method, amount: fee } });
  }

  await page.click("#shift-press");
  await page.locator("#shift-counted_cash").type("520");
  await page.keyboard.press("Enter");
  await says(page, ".shift-dialog", "Bạn đếm được 520 đ");
  await says(page, ".shift-dialog button[type=submit]", "Đúng số này");
  await settled(page);
  await page.screenshot({ path: join(here, "../../target/screenshots/shift-far.png") });
  equal((await central.call("GET", "/api/shifts?open=1")).shifts.length, 1, "it is asked before it is closed");
  await page.locator("#shift-counted_cash").fill("520.000");
  await page.click(".shift-dialog button[type=submit]");
  await says(page, ".shift-facts", "thiếu 10.000 đ");
  await settled(page);
  await page.screenshot({ path: join(here, "../../target/screenshots/shift-handover.png") });
  await page.locator("#login-name").type("an");
  await page.locator("#login-password").type(PASSWORD);
  equal(await page.inputValue("#shift-opening_cash"), "", "what was counted is offered, not taken for granted");
  await page.click("#shift-as-counted");
  await page.click(".shift-dialog button[type=submit]");
  await says(page, "#shift-who", "Ca của an");
  await says(page, "#account", "an");
  equal(await presses(page), 4, "hand-over, with the cash as it was counted");
  equal((await central.call("GET", "/api/shifts?open=1")).shifts[0].opening_cash, 520_000);
  await settled(page);
  await page.screenshot({ path: join(here, "../../target/screenshots/shift-gate.png"), fullPage: true });
  // Who works at a gate whose shift is another's is told before the money button.
  equal(await page.locator("#shift-warning").getAttribute("hidden"), "", "her own shift");
  const ans = (await central.call("GET", "/api/shifts?open=1")).shifts[0];
  await central.as("POST", `/api/shifts/${encodeURIComponent(ans.id)}/close`, { counted_cash: 520_000 });
  await central.as("POST", "/api/shifts", { edge_id: "edge-1", opening_cash: 0 });
  await central.enter("edge-1", "29A66666");
  await page.fill("#plate", "29A66666");
  await page.keyboard.press("Enter");
  await says(page, "#shift-warning", "Ca ở cổng này là của sep");
  await page.waitForSelector("#shift-warning", { state: "visible" });
  await settled(page);
  await page.screenshot({ path: join(here, "../../target/screenshots/shift-others.png"), fullPage: true });
  await page.done();

  const { shifts: [first] } = await central.call("GET", "/api/shifts");
  equal([first.person, first.figures.exits, first.figures.revenue, first.expected_cash, first.difference], ["lan", 2, 45_000, 530_000, -10_000]);
  await central.call("POST", "/api/edge/event", { type: "VEHICLE_EXIT", edge_id: "edge-1", timestamp: first.until_ms - 1, data: { plate_id: "29A55555", fee: 9_000 } });
  const office = await openPage(`${central.url}/shifts`);
  await live(office);
  await says(office, "#rows", "thiếu 10.000 đ");
  await says(office, "#rows", "+9.000 đ");
  await settled(office);
  await office.screenshot({ path: join(here, "../../target/screenshots/shifts.png") });
  await office.locator("#rows a").first().click();
  await says(office, "#sheet-of", "lan");
  await says(office, "#late", "29A-555.55");
  await says(office, "#late-sum", "+9.000 đ");
  await says(office, "#late-ways", "Không ghi cách trả");
  await says(office, "#late-after", "Sau phát sinh: phải có 539.000 đ, thiếu 19.000 đ");
  await central.as("PUT", `/api/parking/history/${encodeURIComponent((await central.call("GET", `/api/shifts/${encodeURIComponent(first.id)}/exits`)).exits[0].event_id)}`, { paid: "transfer", reason: "khách chuyển khoản" });
  await office.reload();
  await says(office, "#late", "Tiền mặt → Chuyển khoản");
  await says(office, "#late-after", "thừa 11.000 đ");
  await says(office, "#cash", "530.000 đ");
  await says(office, "#exits", "29A-333.33");
  for (const id of ["export", "export-book"]) {
    const answer = await fetch(central.url + await office.getAttribute(`#${id}`, "href"));
    ok(answer.ok && (await answer.arrayBuffer()).byteLength > 100, id);
  }
  await settled(office);
  await office.screenshot({ path: join(here, "../../target/screenshots/shift-sheet.png"), fullPage: true });
  await office.emulateMedia({ media: "print" });
  await office.screenshot({ path: join(here, "../../target/screenshots/shift-print.png"), fullPage: true });
  await office.emulateMedia({ media: "screen" });
  await office.goto(`${central.url}/history?day=${(await central.call("GET", "/api/shifts")).day}`);
  await says(office, "#takings-shift", "lan");
  await says(office, "#takings-shift", "Ngoài các ca");
  await settled(office);
  await office.screenshot({ path: join(here, "../../target/screenshots/takings-shifts.png") });
  await eventually("nothing is wider than a phone", async () => {
    await office.setViewportSize({ width: 360, height: 740 });
    await office.goto(`${central.url}/shifts?id=${encodeURIComponent(first.id)}`);
    await says(office, "#sheet-of", "lan");
    return office.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
  });
  await office.screenshot({ path: join(here, "../../target/screenshots/shift-sheet-phone.png"), fullPage: true });
  await office.done();
});

test("a lead closes the shift of another from its sheet, and says what was counted after all", async () => {
  const central = await site();
  const { shift } = await central.as("POST", "/api/shifts", { edge_id: "edge-1", opening_cash: 100_000 });
  const address = `${central.url}/shifts?id=${encodeURIComponent(shift.id)}`;
  const page = await openPage(address, { expected: /40[0-9]/ });
  await says(page, "#sheet-of", "sep");
  ok(await page.isHidden("#sheet-tools"), "who may not is not offered it");
  const [name, value] = central.cookie.split("=");
  await page.context().addCookies([{ name, value, url: central.url }]);
  await page.goto(address);
  await page.click("#sheet-tools button >> text=Chốt ca này");
  await page.fill("#shift-counted_cash", "90.000");
  await page.click("#sheet-tools button[type=submit]");
  await says(page, "#cash", "thiếu 10.000 đ");
  await page.click("#sheet-tools button >> text=Ghi số đếm lại");
  await page.fill("#shift-counted_cash", "100.000");
  await page.click("#sheet-tools button[type=submit]");
  await eventually("a reason is asked for", () => page.locator("#shift-reason.is-invalid").count());
  await page.fill("#shift-reason", "sót một tờ 10.000");
  await page.click("#sheet-tools button[type=submit]");
  await says(page, "#recounts", "sót một tờ 10.000");
  await says(page, "#recounts", "100.000 đ");
  await says(page, "#cash", "thiếu 10.000 đ");
  await settled(page);
  await page.screenshot({ path: join(here, "../../target/screenshots/shift-recount.png"), fullPage: true });
  await page.done();
});
