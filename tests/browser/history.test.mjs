// The history: found by plate and gate, turned page by page, told, corrected, removed, and given to a spreadsheet.

import { readFileSync } from "node:fs";
import { Central, equal, eventually, live, mesh, ok, openPage, says, test, textOf } from "./harness.mjs";

const plates = (page) => page.$$eval("#rows .open", (all) => all.map((one) => one.textContent.replace(/\W/g, "")));
const shows = (page, wanted) =>
  eventually(`the rows are ${wanted}`, async () => JSON.stringify(await plates(page)) === JSON.stringify(wanted));

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
  await says(page, "#takings-gates", "Cổng A ra");
  equal(await page.locator("#takings-gates li").count(), 2, "gates that took something");
  await says(page, "#sum-fee", "37.000 đ");
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
  await page.fill("#amend-reason", "xe nội bộ");
  await page.keyboard.press("Enter");
  await says(page, "dialog.question", "Không hoàn tác được");
  await page.click("dialog.question .btn-danger");
  await says(page, "#story header", "Đã hủy");
  await page.waitForSelector("#story .amend", { state: "detached" });
  await page.keyboard.press("Escape");
  await page.waitForSelector("#rows tr[data-status=VOID]");
  equal(await page.evaluate(() => document.activeElement.className), "plate open", "the focus is where it was");

  const elsewhere = await openPage(`${b.url}/history#stay=${event}`, { language: "en" });
  await says(elsewhere, "#story .facts", "xe nội bộ");
  await says(elsewhere, "#story header", "29A-123.45");
  await elsewhere.done();
  await page.done();
});
