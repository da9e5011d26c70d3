// The pages as people meet them, for people to look at: `npm run screenshots [states, or beginnings as one-gate]`. Every page at a site that is empty, of one
// central, of ten, broken, in conflict, and one whose names are long; in both languages and at each size. They go to
// target/screenshots/states as STATE-PAGE-LANGUAGE-SIZE.png, and nothing is compared: they are looked at, one by one. Needs what run.mjs needs.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Central, browser, eventually, live, mesh, openPage, root, settled, stopAll } from "./harness.mjs";

const only = process.argv.slice(2);
const folder = join(root, "target/screenshots/states");
const SIZES = { 360: [360, 740], 800: [800, 1280], 1366: [1366, 900] };
const WALL = { 1920: [1920, 1080] };
const PASSWORD = "ba con voi";
const FEES = { fee_base: 0, fee_per_hour: 25_000, fee_overnight: 20_000, fee_daily_max: 150_000, types: { moto: { fee_base: 0, fee_per_hour: 5_000, fee_overnight: 5_000, fee_daily_max: 20_000 } } };
const GATES = [{ id: "edge-1", name: "Cổng A vào", direction: "ENTRY" }, { id: "edge-2", name: "Cổng A ra", direction: "EXIT" }, { id: "edge-3", name: "Cổng B" }];
const LONG_GATES = [{ id: "edge-1", name: "Cổng A vào, đường Trần Hưng Đạo", direction: "ENTRY" }, { id: "edge-2", name: "Cổng B ra, tầng hầm B2 phía siêu thị", direction: "EXIT" }, { id: "edge-3", name: "Cổng nội bộ nhân viên và nhà cung cấp" }];
const LONG_SITE = "Bãi xe Trung tâm thương mại Nguyễn Huệ – tầng hầm B1, B2";
const SETTINGS = ["p2p", "site", "security", "tariff", "subscriptions"];

const plate = (car) => `${["29A", "30G", "51F", "30K"][car % 4]}${String(12_345 + car * 7919).slice(0, 5)}`;
const detect = (central, edge, read, more = {}) => central.call("POST", "/api/edge/detection", { edge_id: edge, plate_id: read, camera_type: "car", confidence: 0.94, ...more });
const force = (central, read, fee) => central.call("POST", "/api/edge/barrier/open", { edge_id: "edge-2", plate_id: read, direction: "EXIT", force: true, fee, reason: "không đọc được biển" });
const owes = (central, read) => eventually("a fee is due", async () => (await detect(central, "edge-2", read, { lookup: true })).vehicle_info?.fee > 0);

/** An afternoon with traffic, told afterwards; told by the cars' own hours. */
async function traffic(centrals, cars, gone) {
  const nowMs = Date.now();
  for (let car = 0; car < cars; car += 1) {
    const central = centrals[car % centrals.length];
    const enteredMs = nowMs - (cars - car) * 7 * 60_000;
    const type = car % 3 ? "car" : "moto";
    const report = (kind, atMs, more = {}) => central.call("POST", "/api/edge/event", { type: kind, camera_id: kind === "ENTRY" ? "edge-1" : "edge-2", event_id: `${kind}-${car}`, timestamp: atMs / 1000, data: { plate_text: plate(car), vehicle_type: type, ...more } });
    await report("ENTRY", enteredMs);
    // What the tariff asks: nothing of half an hour, and one or two hours of the others.
    const fee = [0, 1, 1, 2, 2][car % 5] * 25_000;
    if (car < gone) await report("EXIT", Math.min(enteredMs + (30 + (car % 5) * 25) * 60_000, nowMs - 60_000), { fee, ...(fee > 0 && { paid: { method: car % 4 ? "cash" : "qr" } }) });
  }
}

/** Takes one page in both languages and at all sizes. `prepare` brings it where it is to be seen. */
async function take(state, name, central, path, { sizes = SIZES, prepare = async () => {}, asked = null, person = null } = {}) {
  if (only.length > 0 && !only.some((part) => `${state}-${name}`.startsWith(part))) return;
  for (const language of ["vi", "en"]) {
    for (const [size, [width, height]] of Object.entries(sizes)) {
      const page = await openPage(central.url + path, { language, width, height, expected: /./ });
      if (person) {
        await page.evaluate(({ name, password }) => fetch("/api/access/login", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ name, password }) }), { name: person, password: PASSWORD });
        await page.reload();
      }
      await live(page);
      if (asked) await page.waitForSelector(asked);
      await prepare(page);
      await settled(page);
      await page.screenshot({ path: join(folder, `${state}-${name}-${language}-${size}.png`), fullPage: !page.url().includes("?wall") });
      await page.context().close();
    }
  }
}

const type = (read) => async (page) => {
  await page.fill("#plate", read);
  await page.press("#plate", "Enter");
  await page.waitForSelector("#car:not([hidden]):not([data-tone=quiet])");
  await page.waitForSelector("#console:not(.resting)");
};
const everywhere = async (state, central, more = {}) => {
  await take(state, "dashboard", central, "/", more);
  await take(state, "wall", central, "/?wall", { ...more, sizes: WALL });
  await take(state, "history", central, "/history", more);
  await take(state, "shifts", central, "/shifts", more);
  for (const part of SETTINGS) await take(state, `settings-${part}`, central, `/settings#${part}`, { ...more, asked: `#${part}:not([hidden])` });
  await take(state, "people", central, "/login#access", more);
  await take(state, "audit", central, "/audit", more);
};
const today = { prepare: async (page) => { await page.click("[data-view=today]"); await page.waitForSelector("#takings-gate tr"); } };

const STATES = {
  async empty() {
    const open = await new Central("central-1").start();
    await everywhere("empty", open);
    await take("empty", "gate", open, "/gate");
    const fresh = await new Central("central-1", { security: { admin: "password" } }).start();
    await fresh.firstCode();
    await take("empty", "first-code", fresh, "/login");
    await take("empty", "first-settings", fresh, "/settings");
  },

  async one() {
    const central = await new Central("central-1", { site: { name: "Bãi xe Nguyễn Huệ" }, edges: GATES, security: { admin: "password" } }).start();
    const code = await central.firstCode();
    const entered = await fetch(`${central.url}/api/access/code`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ code, name: "sep", password: PASSWORD }) });
    const Cookie = entered.headers.get("set-cookie").split(";")[0];
    const as = async (method, path, body) => (await fetch(central.url + path, { method, headers: { "Content-Type": "application/json", Cookie }, body: JSON.stringify(body) })).json();
    for (const [name, role] of [["lan", "operator"], ["Bình", "shift_lead"]]) await as("POST", "/api/access/people", { name, role, password: PASSWORD });
    await as("PUT", "/api/parking/fees", { fees: FEES });
    await as("PUT", "/api/subscriptions", { subscriptions: [{ id: "1", plate_number: "29A-999.99", owner_name: "Nguyễn Văn An", type: "monthly", status: "active", start_date: "2026-01-01", end_date: "2027-12-31", phone: "0901 234 567", note: "" }] });
    await traffic([central], 40, 25);
    await as("POST", "/api/shifts", { edge_id: "edge-2", opening_cash: 500_000 });
    await as("POST", "/api/edge/barrier/open", { edge_id: "edge-2", plate_id: plate(25), direction: "EXIT", fee: 25_000, force: true, reason: "khách quen" });
    await central.enter("edge-1", "29A99999");
    await everywhere("one", central, { person: "sep" });
    await take("one", "takings", central, "/history", { ...today, person: "sep" });
    await take("one", "login", central, "/login");
    const [row] = (await central.call("GET", "/api/parking/history?limit=-1")).history.filter((one) => one.exit_ms);
    await take("one", "story", central, `/history#stay=${encodeURIComponent(row.event_id)}`, { person: "sep", asked: "#story .facts" });
    await take("one", "sheet", central, "/shifts", { person: "sep", prepare: async (page) => { await page.locator("#rows a").first().click(); await page.waitForSelector("#sheet:not([hidden])"); } });
    const gate = (name, edge, prepare) => take("one", `gate-${name}`, central, `/gate?edge=${edge}`, { person: "lan", prepare });
    await gate("idle", "edge-3", async () => {});
    await gate("entry", "edge-1", type("30K55555"));
    await gate("inside", "edge-1", type(plate(35)));
    await gate("owes", "edge-2", type(plate(30)));
    await gate("free", "edge-2", type("29A99999"));
    await gate("unknown", "edge-2", type(plate(31).slice(0, -1) + "0"));
    await gate("search", "edge-2", async (page) => { await page.fill("#plate", plate(32).slice(-3)); await page.waitForSelector("#matches:not([hidden])"); });
    await gate("forced", "edge-2", async (page) => { await type("99X00001")(page); await page.click("#force"); await page.waitForSelector("dialog[open]"); });
    await gate("edit", "edge-2", async (page) => { await type(plate(30))(page); await page.click("#car-plate"); });
    await gate("queue", "edge-2", async (page) => {
      for (const read of [plate(33), plate(34), plate(36)]) await detect(central, "edge-2", read, { confidence: read === plate(33) ? 0.61 : 0.94 });
      await page.waitForSelector("#car[data-tone=wait]");
      await page.waitForSelector("#console:not(.resting)");
    });
    // Each time another car goes in.
    let car = 0;
    await gate("done", "edge-1", async (page) => {
      car += 1;
      await type(`30H7000${car}`)(page);
      await page.click("#open");
      await page.waitForSelector("#close:not([hidden])");
      await page.waitForSelector("#console:not(.resting)");
    });
  },

  async ten() {
    const centrals = mesh(10, { site: { name: "Bãi xe Nguyễn Huệ" }, edges: GATES.slice(0, 2) });
    for (const [index, central] of centrals.entries()) central.settings.edges = central.settings.edges.map((edge) => ({ ...edge, name: `${edge.name.replace("A", "ABCDEGHIKL"[index])}` }));
    await Promise.all(centrals.map((central) => central.start()));
    await eventually("all are linked", async () => (await centrals[0].call("GET", "/api/p2p/status")).connected_peers === 9, 60_000);
    await centrals[0].call("PUT", "/api/parking/fees", { fees: FEES });
    await eventually("all have the tariff", async () => (await Promise.all(centrals.map((central) => central.call("GET", "/api/parking/fees")))).every(({ fees }) => fees.types?.moto), 60_000);
    await traffic(centrals, 60, 35);
    await take("ten", "dashboard", centrals[0], "/");
    await take("ten", "mesh", centrals[0], "/", { prepare: (page) => page.click("#mesh-more summary") });
    await take("ten", "wall", centrals[0], "/?wall", { sizes: WALL });
    await take("ten", "settings-p2p", centrals[0], "/settings#p2p", { asked: "#p2p:not([hidden])" });
    await take("ten", "people", centrals[0], "/login#access");
    await take("ten", "takings", centrals[0], "/history", today);
  },

  async broken() {
    const [one, two, three] = mesh(3, { site: { name: "Bãi xe Nguyễn Huệ" }, edges: GATES });
    await one.start();
    await one.kill();
    writeFileSync(join(one.directory, "data/accounts.json"), "{");
    writeFileSync(join(one.directory, "data/central.db.rescued"), "x");
    await Promise.all([one, two, three].map((central) => central.start()));
    await one.call("POST", "/api/edge/heartbeat", { camera_id: "edge-1" });
    await one.call("PUT", "/api/parking/fees", { fees: FEES });
    await traffic([one, two, three], 30, 18);
    await force(one, "30A99999", 20_000);
    await two.kill();
    writeFileSync(join(one.directory, "p2p_config.json"), "{");
    await eventually("it is said", async () => {
      const alarms = JSON.stringify(await one.call("GET", "/api/p2p/status"));
      const cameras = JSON.stringify(await one.call("GET", "/api/cameras"));
      return alarms.includes("disconnected") && cameras.includes("offline");
    }, 120_000);
    await everywhere("broken", one);
    await take("broken", "gate-owes", one, "/gate?edge=edge-2", { prepare: type(plate(27)) });
    await take("broken", "mesh", one, "/", { prepare: (page) => page.click("#mesh-more summary") });
  },

  async conflict() {
    const [one, two] = mesh(2, { site: { name: "Bãi xe Nguyễn Huệ" }, edges: GATES });
    await one.start();
    await one.call("PUT", "/api/parking/fees", { fees: FEES });
    await one.enter("edge-1", "29A12345");
    await one.enter("edge-1", "51F22222");
    await force(one, "51F22222", 30_000);
    await one.kill();
    await two.start();
    await two.enter("edge-1", "29A12345");
    await two.enter("edge-1", "51F22222");
    await force(two, "51F22222", 25_000);
    await force(two, "30A99999", 20_000);
    await two.call("PUT", "/api/parking/fees", { fees: { ...FEES, fee_per_hour: 30_000 } });
    await one.start();
    await eventually("all is there", async () => (await one.call("GET", "/api/parking/history?limit=-1")).history.some(({ anomalies }) => anomalies.length > 0));
    const stay = await one.enter("edge-1", "30G33333");
    await one.call("DELETE", `/api/parking/history/${encodeURIComponent(stay)}`, { reason: "xe không vào" });
    await everywhere("conflict", one);
    await take("conflict", "takings", one, "/history", today);
    const odd = (await one.call("GET", "/api/parking/history?limit=-1")).history.find(({ anomalies }) => anomalies.length > 0);
    await take("conflict", "story", one, `/history#stay=${encodeURIComponent(odd.event_id)}`, { asked: "#story .facts" });
    await take("conflict", "void", one, `/history#stay=${encodeURIComponent(stay)}`, { asked: "#story .facts" });
  },

  async long() {
    const centrals = mesh(3, { site: { name: LONG_SITE }, edges: LONG_GATES });
    centrals[0].settings.peer_centrals.push({ id: "central-du-phong-cong-sau-hau-can-03", ip: "127.0.0.250", p2p_port: 29000 });
    await Promise.all(centrals.map((central) => central.start()));
    const [one] = centrals;
    await one.call("PUT", "/api/parking/fees", { fees: { ...FEES, types: { ...FEES.types, "xe-bus-45-cho-du-lich": FEES } } });
    await traffic(centrals, 30, 18);
    await one.call("POST", "/api/edge/event", { type: "ENTRY", camera_id: "edge-1", event_id: "bus", timestamp: Date.now() / 1000 - 5000, data: { plate_text: "29LD12345678", vehicle_type: "xe-bus-45-cho-du-lich" } });
    await one.call("POST", "/api/access/people", { name: "Nguyễn Hoàng Phương Thảo ca đêm cổng sau", role: "operator", password: PASSWORD });
    await one.call("POST", "/api/access/tokens", { name: "sao-luu-hang-dem-va-bao-cao-doanh-thu-01", role: "operator" });
    await one.call("PUT", "/api/subscriptions", { subscriptions: [{ id: "1", plate_number: "29A-123.45", owner_name: "Công ty TNHH Dịch vụ và Thương mại Hoàng Long", type: "company", status: "active", start_date: "2026-01-01", end_date: "2027-12-31", phone: "0901 234 567", note: "Gửi cả ngày lẫn đêm, xe của ban giám đốc, ưu tiên tầng B1" }] });
    await force(one, "30A99999", 99_999_000);
    await everywhere("long", one);
    await take("long", "gate-idle", one, "/gate?edge=edge-3");
    await take("long", "gate-owes", one, "/gate?edge=edge-2", { prepare: async (page) => { await owes(one, "29LD12345678"); await type("29LD12345678")(page); } });
    await take("long", "takings", one, "/history", today);
  },
};

mkdirSync(folder, { recursive: true });
for (const [state, see] of Object.entries(STATES)) {
  if (only.length > 0 && !only.some((part) => part.startsWith(state))) continue;
  await see().catch((error) => { console.log(`${state}: ${error.stack}`); process.exitCode = 1; });
  await stopAll();
}
await browser.close();
