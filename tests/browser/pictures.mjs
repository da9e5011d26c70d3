// The pictures of the README, taken anew: `npm run pictures`. A site of three centrals on one of its afternoons; needs what run.mjs
// needs. They go to docs/images.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { browser, eventually, live, mesh, openPage, root, settled, stopAll } from "./harness.mjs";

const SIZE = { width: 1000, height: 620 };
const folder = join(root, "docs/images");

const settings = { site: { name: "Bãi xe Nguyễn Huệ" }, security: { admin: "open" }, edges: [{ id: "edge-1", name: "Cổng A vào", direction: "ENTRY" }, { id: "edge-2", name: "Cổng A ra", direction: "EXIT" }] };
const names = [["Cổng A vào", "Cổng A ra"], ["Cổng B vào", "Cổng B ra"], ["Hầm B1 vào", "Hầm B1 ra"]];
const centrals = mesh(3, settings);
for (const [index, central] of centrals.entries()) central.settings.edges.forEach((edge, way) => { edge.name = names[index][way]; });
await Promise.all(centrals.map((central) => central.start()));
const [first] = centrals;
await first.call("PUT", "/api/parking/fees", { fees: { fee_base: 0, fee_per_hour: 25000, fee_overnight: 20000, fee_daily_max: 150000, types: { moto: { fee_base: 0, fee_per_hour: 5000, fee_overnight: 5000, fee_daily_max: 20000 } } } });
await eventually("all are linked", async () => (await first.call("GET", "/api/p2p/status")).connected_peers === 2);
// Whose fingerprints were compared needs nobody's hand.
for (const central of centrals) {
  for (const { peer_id: id, fingerprint } of (await central.call("GET", "/api/p2p/status")).peers) {
    if (fingerprint) await central.call("PUT", `/api/p2p/peers/${id}`, { fingerprint, unconfirmed: false });
  }
}

// Told afterwards, with its times: since six in the morning of the site.
const nowMs = Date.now();
const plate = (car) => `${["29A", "30G", "51F", "30K"][car % 4]}${String(12_345 + car * 7919).slice(0, 5)}`;
for (let car = 0; car < 60; car += 1) {
  const central = centrals[car % 3];
  const enteredMs = nowMs - (60 - car) * 7 * 60_000;
  const type = car % 3 ? "car" : "moto";
  const report = (kind, atMs, more = {}) => central.call("POST", "/api/edge/event", { type: kind, camera_id: kind === "ENTRY" ? "edge-1" : "edge-2", event_id: `${kind}-${car}`, timestamp: atMs / 1000, data: { plate_text: plate(car), vehicle_type: type, ...more } });
  await report("ENTRY", enteredMs);
  const minutes = 30 + (car % 5) * 25;
  const fee = [0, 1, 1, 2, 2][car % 5] * 25_000;
  if (car < 38) await report("EXIT", Math.min(enteredMs + minutes * 60_000, nowMs - 60_000), { fee, ...(fee > 0 && { paid: { method: car % 4 ? "cash" : "qr" } }) });
}
await eventually("all is everywhere", async () => {
  const counts = await Promise.all(centrals.map(async (central) => (await central.call("GET", "/api/parking/history?limit=-1")).count));
  return counts.every((count) => count === counts[0]);
});

mkdirSync(folder, { recursive: true });
const leaving = plate(50);
for (const language of ["vi", "en"]) {
  const take = async (name, path, prepare = async () => {}) => {
    const page = await openPage(first.url + path, { ...SIZE, language });
    await live(page);
    await prepare(page);
    await settled(page);
    await page.screenshot({ path: join(folder, `${name}-${language}.png`) });
    await page.done();
  };
  await take("gate", "/gate?edge=edge-2", async (page) => {
    for (const read of [leaving, plate(52), plate(55)]) await first.call("POST", "/api/edge/detection", { edge_id: "edge-2", plate_id: read, camera_type: "car", confidence: 0.94 });
    await page.waitForSelector("#car[data-tone=wait]");
    await page.waitForSelector("#console:not(.resting)");
  });
  await take("dashboard", "/");
  await take("history", `/history?day=${new Date(nowMs + 7 * 3_600_000).toISOString().slice(0, 10)}`);
  await take("settings", "/settings#tariff");
}
await stopAll();
await browser.close();
