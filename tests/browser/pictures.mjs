// The pictures of the README, taken anew: `npm run pictures`. A site of three centrals on one of its afternoons; needs what run.mjs
// needs. They go to docs/images.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { browser, eventually, live, mesh, openPage, root, settled, stopAll } from "./harness.mjs";

/** As people see it, and then made smaller. */
const SIZE = { width: 1180, height: 730, scale: 0.8 };
const PASSWORD = "ba con voi";
const folder = join(root, "docs/images");

const settings = { site: { name: "Bãi xe Nguyễn Huệ" }, security: { admin: "password" }, edges: [{ id: "edge-1", name: "Cổng A vào", direction: "ENTRY" }, { id: "edge-2", name: "Cổng A ra", direction: "EXIT" }] };
const names = [["Cổng A vào", "Cổng A ra"], ["Cổng B vào", "Cổng B ra"], ["Hầm B1 vào", "Hầm B1 ra"]];
const centrals = mesh(3, settings);
for (const [index, central] of centrals.entries()) central.settings.edges.forEach((edge, way) => { edge.name = names[index][way]; });
await Promise.all(centrals.map((central) => central.start()));
const [first] = centrals;
/** Calls as somebody who works there; of nobody he logs in. */
const cookies = new Map();
async function as(central, name, method, path, body) {
  const headers = { "Content-Type": "application/json" };
  const ask = (way, where, what) => fetch(central.url + where, { method: way, headers, body: JSON.stringify(what) });
  const key = `${central.id} ${name}`;
  if (!cookies.has(key)) cookies.set(key, (await ask("POST", "/api/access/login", { name, password: PASSWORD })).headers.get("set-cookie").split(";")[0]);
  headers.Cookie = cookies.get(key);
  const answer = await ask(method, path, body);
  if (!answer.ok) throw new Error(`${name}: ${method} ${path}: ${await answer.text()}`);
  return answer.json();
}
for (const central of centrals) {
  const entered = await fetch(`${central.url}/api/access/code`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ code: await central.firstCode(), name: "an", password: PASSWORD }) });
  cookies.set(`${central.id} an`, entered.headers.get("set-cookie").split(";")[0]);
  for (const name of ["Lan", "Bình"]) await as(central, "an", "POST", "/api/access/people", { name, role: "operator", password: PASSWORD });
}
await as(first, "an", "PUT", "/api/parking/fees", { fees: { fee_base: 0, fee_per_hour: 25000, fee_overnight: 20000, fee_daily_max: 150000, types: { moto: { fee_base: 0, fee_per_hour: 5000, fee_overnight: 5000, fee_daily_max: 20000 } } } });
await eventually("all are linked", async () => (await first.call("GET", "/api/p2p/status")).connected_peers === 2);
// Whose fingerprints were compared needs nobody's hand.
for (const central of centrals) {
  for (const { peer_id: id, fingerprint } of (await central.call("GET", "/api/p2p/status")).peers) {
    if (fingerprint) await as(central, "an", "PUT", `/api/p2p/peers/${id}`, { fingerprint, unconfirmed: false });
  }
}

// Told afterwards, with its times: since six in the morning of the site.
const nowMs = Date.now();
const plate = (car) => `${["29A", "30G", "51F", "30K"][car % 4]}${String(12_345 + car * 7919).slice(0, 5)}`;
for (let car = 0; car < 60; car += 1) {
  const central = centrals[car % 3];
  const enteredMs = nowMs - (60 - car) * 7 * 60_000;
  const type = car % 3 ? "car" : "moto";
  const report = (kind, atMs, more = {}) => as(central, car % 5 ? "Lan" : "Bình", "POST", "/api/edge/event", { type: kind, camera_id: kind === "ENTRY" ? "edge-1" : "edge-2", event_id: `${kind}-${car}`, timestamp: atMs / 1000, data: { plate_text: plate(car), vehicle_type: type, ...more } });
  await report("ENTRY", enteredMs);
  const minutes = 30 + (car % 5) * 25;
  const fee = [0, 1, 1, 2, 2][car % 5] * 25_000;
  if (car < 38) await report("EXIT", Math.min(enteredMs + minutes * 60_000, nowMs - 60_000), { fee, ...(fee > 0 && { paid: { method: car % 4 ? "cash" : "qr" } }) });
}
await eventually("all is everywhere", async () => {
  const counts = await Promise.all(centrals.map(async (central) => (await central.call("GET", "/api/parking/history?limit=-1")).count));
  return counts.every((count) => count === counts[0]);
});

// What centrals say of themselves comes every half a minute.
await eventually("all say the same tariff", async () => {
  const { version } = await first.call("GET", "/api/parking/fees");
  return (await first.call("GET", "/api/p2p/status")).peers.every(({ says }) => says?.tariff_version === version);
}, 90_000);

mkdirSync(folder, { recursive: true });
const leaving = plate(50);
for (const language of ["vi", "en"]) {
  const take = async (name, path, person, prepare = async () => {}) => {
    const page = await openPage(first.url + path, { ...SIZE, language });
    await page.evaluate(({ name, password }) => fetch("/api/access/login", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ name, password }) }), { name: person, password: PASSWORD });
    await page.reload();
    await live(page);
    await page.waitForFunction((name) => document.getElementById("account").textContent === name, person);
    await prepare(page);
    await settled(page);
    await page.screenshot({ path: join(folder, `${name}-${language}.png`) });
    await page.done();
  };
  await take("gate", "/gate?edge=edge-2", "Lan", async (page) => {
    for (const read of [leaving, plate(52), plate(55)]) await first.call("POST", "/api/edge/detection", { edge_id: "edge-2", plate_id: read, camera_type: "car", confidence: 0.94 });
    await page.waitForSelector("#car[data-tone=wait]");
    await page.waitForSelector("#console:not(.resting)");
  });
  await take("dashboard", "/", "an");
  await take("history", `/history?day=${new Date(nowMs + 7 * 3_600_000).toISOString().slice(0, 10)}`, "an");
  await take("settings", "/settings#site", "an", async (page) => {
    await page.click("#checklist-enough");
    await page.evaluate(() => scrollTo(0, 0));
  });
}
await stopAll();
await browser.close();
