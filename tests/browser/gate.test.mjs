// The gate console: a car in, a car out, presses that are refused, doubled, or lost.

import { Central, eventually, live, mesh, ok, equal, openPage, says, test } from "./harness.mjs";

const PHONE = { width: 360, height: 740 };
const detect = (central, edge, plate) =>
  central.call("POST", "/api/edge/detection", { edge_id: edge, plate_id: plate, camera_type: "car", confidence: 0.9 });

async function type(page, plate) {
  await page.fill("#plate", plate);
  await page.press("#plate", "Enter");
  await page.waitForSelector("#open:not([hidden])");
}

test("a car is let in and out with one button each", async () => {
  const central = await new Central("central-1", { edges: [{ id: "edge-1", name: "Cổng A vào", direction: "ENTRY" }, { id: "edge-2", name: "Cổng A ra", direction: "EXIT" }] }).start();
  const way_in = await openPage(`${central.url}/gate?edge=edge-1`, PHONE);
  await live(way_in);
  await says(way_in, "#lane", "Làn vào");
  await detect(central, "edge-1", "29A12345");
  await says(way_in, "#car-plate", "29A-123.45");
  await says(way_in, "#car-state", "Không có trong bãi");
  await way_in.dblclick("#open");
  await says(way_in, "#car-state", "Đã mở cho vào");
  await eventually("the button may be pressed", () => way_in.evaluate(() => !document.getElementById("close").inert));
  await way_in.click("#close");
  await says(way_in, "#toasts", "Đã ghi nhận xe qua");
  equal((await central.call("GET", "/api/parking/history")).history.length, 1, "rows after a double press");

  const way_out = await openPage(`${central.url}/gate?edge=edge-2`, PHONE);
  await live(way_out);
  await type(way_out, "29a 123.45");
  await says(way_out, "#car-state", "Đang trong bãi");
  await says(way_out, "#facts", "central-1/edge-1");
  await way_out.click("#open");
  await says(way_out, "#car-state", "Đã mở cho ra");
  await says(way_out, "#recent", "29A-123.45");
  equal((await central.call("GET", "/api/parking/history")).history[0].status, "OUT");
  await way_in.done();
  await way_out.done();
});

test("a refusal says what it means and what forcing does", async () => {
  const central = await new Central("central-1", { edges: [{ id: "edge-1", name: "Vào", direction: "ENTRY" }, { id: "edge-2", name: "Ra", direction: "EXIT" }] }).start();
  const page = await openPage(`${central.url}/gate?edge=edge-2`, { ...PHONE, expected: /409/ });
  await live(page);
  await type(page, "30G12345");
  await page.click("#open");
  await says(page, "dialog", "Không thấy xe này trong bãi");
  await says(page, "dialog", "một lượt ra không có lượt vào");
  await page.fill("#forced-fee", "25000");
  await page.click("dialog .btn-danger");
  await says(page, "#car-state", "Đã mở cho ra");
  const [row] = (await central.call("GET", "/api/parking/history")).history;
  equal([row.fee, row.anomalies.includes("exit_without_entry")], [25000, true]);
  await page.done();
});

test("a press whose answer was lost is repeated and counted once", async () => {
  const central = await new Central("central-1").start();
  const page = await openPage(`${central.url}/gate?edge=edge-1`, { ...PHONE, expected: /ERR_FAILED/ });
  await live(page);
  await type(page, "29A55555");
  let lost = 0;
  await page.route("**/api/edge/barrier/open", async (route) => {
    if (lost === 0) {
      lost += 1;
      await route.fetch();
      await route.abort();
    } else {
      await route.continue();
    }
  });
  await page.click("#open");
  await says(page, "#problem", "Bấm lại");
  await eventually("the button may be pressed", () => page.evaluate(() => !document.getElementById("open").inert));
  // The car is inside by now, and this gate lets cars pass both ways: the press still means what it meant.
  await page.click("#open");
  await says(page, "#car-state", "Đã mở cho vào");
  await says(page, "#problem", "không ghi thêm gì");
  equal((await central.call("GET", "/api/parking/history")).history.length, 1, "rows");
  await page.done();
});

test("whose data may be missing is said", async () => {
  const [one, two] = mesh(2);
  await Promise.all([one.start(), two.start()]);
  const page = await openPage(`${one.url}/gate`, PHONE);
  await live(page);
  ok(await page.isHidden("#missing-part"), "nothing is missing");
  await eventually("they are linked", async () => (await one.call("GET", "/api/p2p/status")).connected_peers === 1);
  await two.kill();
  await says(page, "#missing", "Dữ liệu central-2");
  await page.done();
});
