// How much a hand has to do: presses and keys of the ways people go most, counted where the browser hears them.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Central, equal, eventually, here, live, ok, openPage, says, settled, test } from "./harness.mjs";

const LANES = { edges: [{ id: "edge-1", name: "Cổng A vào", direction: "ENTRY" }, { id: "edge-2", name: "Cổng A ra", direction: "EXIT" }] };
const TABLET = { width: 1280, height: 800 };

/** Counts what the browser hears of a hand, from when the page is there. */
const counting = () => {
  window.heard = { presses: 0, keys: 0, tabs: 0 };
  addEventListener("pointerdown", (event) => { if (event.isTrusted) window.heard.presses += 1; }, true);
  addEventListener("keydown", (event) => { if (event.isTrusted) window.heard[event.key === "Tab" ? "tabs" : "keys"] += 1; }, true);
};

/** A page whose `did()` gives what was pressed since the last time. */
async function open(address, options = {}) {
  const page = await openPage(address, { ...TABLET, before: counting, ...options });
  await live(page);
  page.did = () => page.evaluate(() => {
    const did = window.heard;
    window.heard = { presses: 0, keys: 0, tabs: 0 };
    return did;
  });
  /** A press on what is there and rests no more. */
  page.press = (selector) => page.locator(`#console:not(.resting) ${selector}`).first().click();
  await page.did();
  return page;
}

async function site() {
  const central = await new Central("central-1", LANES).start();
  await central.call("PUT", "/api/parking/fees", { fees: { fee_base: 0, fee_per_hour: 25_000, fee_overnight: 0, fee_daily_max: 0 } });
  return central;
}

const read = (central, edge, plate) => central.call("POST", "/api/edge/detection", { edge_id: edge, plate_id: plate, camera_type: "car", confidence: 0.95 });
const statusOf = async (central, plate) => (await central.call("GET", `/api/parking/history?search=${plate}`)).history[0]?.status;

test("a car in and a car out are one press each, and a misread one three", async () => {
  const central = await site();
  const wayIn = await open(`${central.url}/gate?edge=edge-1`);
  await read(central, "edge-1", "29A12345");
  await wayIn.press("#open:not([hidden])");
  await eventually("it is in", async () => (await statusOf(central, "29A12345")) === "IN");
  equal(await wayIn.did(), { presses: 1, keys: 0, tabs: 0 }, "a car in");
  await wayIn.done();

  const wayOut = await open(`${central.url}/gate?edge=edge-2`);
  await read(central, "edge-2", "29A12345");
  await says(wayOut, "#open", "25.000 đ");
  await wayOut.press("#open:not([hidden])");
  await eventually("it is out", async () => (await statusOf(central, "29A12345")) === "OUT");
  equal(await wayOut.did(), { presses: 1, keys: 0, tabs: 0 }, "a car out with its fee");

  // The next one, whose plate was read with a wrong sign.
  await central.enter("edge-1", "51F98765");
  await read(central, "edge-2", "51F98766");
  await wayOut.press("#next:not([hidden])");
  await wayOut.press("#near-list button");
  await says(wayOut, "#open", "25.000 đ");
  await wayOut.press("#open:not([hidden])");
  await eventually("the right one is out", async () => (await statusOf(central, "51F98765")) === "OUT");
  equal(await wayOut.did(), { presses: 3, keys: 0, tabs: 0 }, "a misread car, the one before it done with");
  await wayOut.done();
});

test("a car of yesterday is found by three digits and one press", async () => {
  const central = await site();
  for (const plate of ["29A12345", "30K77889", "51F98765"]) await central.enter("edge-1", plate);
  const page = await open(`${central.url}/gate?edge=edge-2`);
  await page.keyboard.type("778");
  await page.press("#matches button");
  await says(page, "#car-plate", "30K-778.89");
  equal(await page.did(), { presses: 1, keys: 3, tabs: 0 }, "found");
  await page.done();
});

test("a stay is removed with three presses and a reason", async () => {
  const central = await site();
  await central.enter("edge-1", "29A12345");
  const page = await open(`${central.url}/history`);
  await page.click("#rows .open");
  await page.click(".amend .btn-outline-danger");
  await page.keyboard.type("nhầm");
  await page.click(".amend form .btn-danger");
  await eventually("it is void", async () => (await statusOf(central, "29A12345")) === "VOID");
  equal((await page.did()).presses, 3, "presses");
  await page.done();
});

test("the takings of the day by gate are one press from the first page", async () => {
  const central = await site();
  await central.enter("edge-1", "29A12345");
  await central.call("POST", "/api/edge/barrier/open", { edge_id: "edge-2", plate_id: "29A12345", direction: "EXIT", force: true, fee: 25_000 });
  const page = await open(`${central.url}/`);
  await says(page, "#revenue", "25.000 đ");
  await page.evaluate(() => { addEventListener("pagehide", () => sessionStorage.setItem("presses", window.heard.presses)); });
  await page.click("#revenue");
  await says(page, "#takings-gate", "Cổng A ra");
  await says(page, "#takings-revenue", "25.000 đ");
  equal(await page.evaluate(() => sessionStorage.getItem("presses")), "1", "presses");
  await page.done();
});

test("the keyboard is at the plate after two tabs at most, with a mouse at once", async () => {
  const central = await site();
  for (const touch of [false, true]) {
    const page = await open(`${central.url}/gate?edge=edge-2`, touch ? { before: () => {
      // A tablet has no fine pointer; what is focused there would bring up its keyboard.
      const real = window.matchMedia;
      window.matchMedia = (query) => (query === "(pointer: fine)" ? { matches: false, addEventListener() {} } : real.call(window, query));
    } } : {});
    let tabs = 0;
    while (await page.evaluate(() => document.activeElement.id) !== "plate" && tabs < 5) {
      await page.keyboard.press("Tab");
      tabs += 1;
    }
    ok(tabs <= (touch ? 2 : 0), `${tabs} tabs ${touch ? "without" : "with"} a mouse`);
    await page.done();
  }
});

test("nothing is seriously wrong on any page at 200 %", async () => {
  const central = await site();
  await central.enter("edge-1", "29A12345");
  await central.enter("edge-1", "30K77889");
  await central.leave("edge-2", "30K77889");
  await read(central, "edge-2", "29A12345");
  const axe = readFileSync(join(here, "node_modules/axe-core/axe.min.js"), "utf8");
  const faults = [];
  for (const path of ["/", "/gate?edge=edge-2", "/history", "/history?day=today", "/settings", "/settings#site", "/settings#tariff", "/settings#subscriptions", "/settings#security", "/audit", "/login", "/?wall"]) {
    for (const language of ["vi", "en"]) {
      const day = new Date(Date.now() + 7 * 3_600_000).toISOString().slice(0, 10);
      const page = await openPage(central.url + path.replace("today", day), { language, width: 1366, height: 768 });
      await live(page);
      // As a browser lays out at 200 %: half as many pixels of CSS, each of four dots.
      const devtools = await page.context().newCDPSession(page);
      await devtools.send("Emulation.setDeviceMetricsOverride", { width: 683, height: 384, deviceScaleFactor: 2, mobile: false });
      await settled(page);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (wide > 1) faults.push(`${path} ${language}: ${wide} px wider than the window`);
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"], preload: false }));
      for (const { id, nodes } of violations.filter(({ impact }) => ["serious", "critical"].includes(impact))) faults.push(`${path} ${language}: ${id}: ${nodes.slice(0, 3).map((node) => node.target.join(" ")).join(", ")}`);
      page.check();
      await page.context().close();
    }
  }
  ok(faults.length === 0, faults.join("\n"));
});
