// Nhật ký thao tác: an administrator sees who did what, finds it by kind and person, and takes it away as a table.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Central, equal, eventually, live, ok, openPage, root, says, settled, test, textOf } from "./harness.mjs";

const PASSWORD = "ba con voi";

test("an administrator sees on the audit page who did what and others see nothing", async () => {
  const central = new Central("central-1", { security: { admin: "password" } });
  await central.start();
  const code = central.log().match(/code=(\S+)/)[1];
  const page = await openPage(`${central.url}/audit`, { expected: /401/ });
  await live(page);
  await says(page, "#said", "Chỉ người quản trị xem được.");
  ok(await page.locator("#table").isHidden(), "nobody sees an entry");
  equal(await page.locator("#said a").getAttribute("href"), "/login?back=/audit");

  await page.goto(`${central.url}/login?back=/audit`);
  await page.fill("#code-field", code);
  await page.fill("#code-password", PASSWORD);
  await page.fill("#code-again", PASSWORD);
  await page.click("#code-form [type=submit]");
  await page.waitForURL((url) => url.pathname === "/audit");
  await says(page, "#rows", "người có mã dùng một lần");
  await eventually("the refusal of before is there", async () => {
    await page.reload();
    await page.waitForSelector("#rows tr");
    return (await textOf(page, "#rows")).includes("Bị từ chối");
  });

  const asAdministrator = (method, path, body) => page.evaluate(async ([method, path, body]) => {
    const answer = await fetch(path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    return answer.status;
  }, [method, path, body]);
  equal(await asAdministrator("PUT", "/api/p2p/config", { site: { name: "Bãi xe Nguyễn Huệ" } }), 200);
  equal(await asAdministrator("PUT", "/api/p2p/config", { site: { name: "Bãi xe Lê Lợi" }, edges: [{ id: "edge-1", name: "Cổng A" }] }), 200);
  for (let number = 0; number < 60; number += 1) {
    equal(await asAdministrator("PUT", "/api/parking/fees", { fees: { fee_base: 0, fee_per_hour: 1000 + number } }), 200);
  }
  const plan = { kind: "per_visit", day_from: "06:00", night_from: "18:00", day: 6000, night: 9000 };
  const steps = { kind: "steps", first_minutes: 120, first_price: 3000, steps: [{ minutes: 60, price: 2000 }] };
  const days = [{ name: "Tết", dates: ["2027-02-06"], rate: { fee_base: 0, fee_per_hour: 7000 } }, { name: "Cuối tuần", weekdays: ["sat", "sun"], types: { moto: { fee_base: 0, fee_per_hour: 1, plan: steps } } }];
  equal(await asAdministrator("PUT", "/api/parking/fees", { fees: { fee_base: 0, fee_per_hour: 1060, plan: steps, types: { moto: { fee_base: 0, fee_per_hour: 1000, plan } }, days, lost_card: 20000 } }), 200);
  equal(await asAdministrator("PUT", "/api/p2p/config", { tuning: { mask_plates: true } }), 200);
  equal(await asAdministrator("PUT", "/api/p2p/config", { tuning: { mask_plates: false } }), 200);
  equal(await asAdministrator("POST", "/api/edge/barrier/open", { edge_id: "edge-1", plate_id: "30A99999", direction: "EXIT", force: true, fee: 20000, reason: "x" }), 200);
  equal(await asAdministrator("POST", "/api/access/people", { name: "lan", role: "operator", password: PASSWORD }), 201);
  equal(await asAdministrator("PUT", "/api/subscriptions", { subscriptions: [{ id: "7", plate_number: "29A-123.45", owner_name: "Lan", type: "company", status: "active", start_date: "2026-01-01", end_date: "2027-12-31", phone: "1", note: "" }] }), 200);
  await page.reload();
  await page.waitForSelector("#rows tr");
  // Words, where programs have names: fields, values, requests, refusals.
  const raw = await page.$$eval("#rows :is(dt, .code, dd ins, dd del, .what > span)", (all) => all.map((one) => one.textContent).filter((text) => /^[a-z0-9]+([_.][a-z0-9-]+)+$|[a-z]_[a-z]|"|\/api\/|^(true|false|EXIT|active|company|edge-1)$|\d{4}-\d\d-\d\d/.test(text)));
  equal(raw, [], "names of programs on the page:");
  await says(page, "#rows", "Che biển số trong nhật ký chương trình");
  await says(page, "#rows", "20.000 đ");
  await says(page, "#rows tr:has-text('Mở ngoại lệ') .what", "Cổng A");
  for (const text of ["Xe máy: Giá lượt ban ngày", "6.000 đ", "theo lượt, ngày và đêm", "Mất thẻ: thu thêm"]) await says(page, "#rows", text);
  await settled(page);
  mkdirSync(join(root, "target/screenshots"), { recursive: true });
  await page.screenshot({ path: join(root, "target/screenshots/audit-words.png") });
  await page.reload();
  await page.selectOption("#kind", "settings");
  await eventually("only settings", async () => await page.locator("#rows tr").count() === 4);
  await says(page, "#rows tr:nth-child(3) .what", "Bãi xe Nguyễn Huệ → Bãi xe Lê Lợi");
  await says(page, "#rows tr:nth-child(3) .by", "admin");
  ok(page.url().includes("kind=settings"), "what is looked for stands in the address");
  mkdirSync(join(root, "target/screenshots"), { recursive: true });
  await settled(page);
  await page.screenshot({ path: join(root, "target/screenshots/audit-settings.png"), fullPage: true });

  await page.selectOption("#kind", "tariff");
  await eventually("a full page of the tariff", async () => await page.locator("#rows tr").count() === 50);
  await page.click("#older");
  await eventually("the rest", async () => await page.locator("#rows tr").count() === 11);
  await page.click("#newest");
  await page.fill("#who", "nobody");
  await page.locator("#who").blur();
  await says(page, "#nothing", "Không có mục nào.");
  await page.click("#clear");
  await eventually("all again", async () => await page.locator("#rows tr").count() === 50);
  const [table] = await Promise.all([page.waitForEvent("download"), page.click("#export")]);
  ok(table.suggestedFilename().startsWith("parkmesh-audit-central-1-"), table.suggestedFilename());
  await page.goto(`${central.url}/login`);
  await page.click(".tabs a[href='/audit']");
  await page.waitForURL((url) => url.pathname === "/audit");
  await page.waitForSelector(".tabs a[href='/audit'][aria-current]");
  await page.click(".tabs a[href='/login#access']");
  await page.waitForSelector(".tabs a[href='/login#access'][aria-current]");
  await says(page, "#people-title", "Người dùng");
  await page.click(".tabs a[href='/settings#tariff']");
  await page.waitForSelector("#tariff:not([hidden])");
  await page.done();
});
