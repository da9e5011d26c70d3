// The dashboard and the feed under it: a break, ten centrals, half a million messages, the example of the documents.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Central, eventually, live, mesh, ok, equal, openPage, root, says, settled, test, textOf } from "./harness.mjs";

/** A central is gone after half a minute. */
const GONE_MS = 50_000;

test("a break is said at once and what happened meanwhile is there afterwards", async () => {
  const central = await new Central("central-1").start();
  const page = await openPage(`${central.url}/`, { expected: /ERR_CONNECTION|WebSocket/ });
  await live(page);
  await says(page, "#nothing", "Chưa có xe nào");
  await central.enter("edge-1", "29A00001");
  await says(page, "#events", "29A-000.01");
  await central.kill();
  await page.waitForSelector("#freshness.bad");
  await says(page, "#notices", "Mất kết nối với máy chủ");
  ok(await page.evaluate(() => document.body.classList.contains("stale")), "what is old looks old");
  await central.start();
  await central.enter("edge-1", "29A00002");
  await live(page);
  await says(page, "#events", "29A-000.02");
  await says(page, "#events", "29A-000.01");
  ok(!(await page.evaluate(() => document.body.classList.contains("stale"))), "and is fresh again");
  await page.done();
});

test("an interrupted line resumes by number without a snapshot", async () => {
  const central = await new Central("central-1").start();
  const before = () => {
    const Real = WebSocket;
    window.sockets = [];
    window.messages = [];
    window.WebSocket = class extends Real {
      constructor(...given) {
        super(...given);
        window.sockets.push(this);
        this.addEventListener("message", ({ data }) => window.messages.push(JSON.parse(data)));
      }
    };
  };
  const page = await openPage(`${central.url}/`, { before });
  await live(page);
  await page.evaluate(() => window.sockets.at(-1).close());
  await central.enter("edge-1", "29A00003");
  await says(page, "#events", "29A-000.03");
  const kinds = await page.evaluate(() => window.messages.map((message) => message.type).filter((type) => type === "snapshot"));
  equal(kinds.length, 1, "snapshots");
  ok(await page.evaluate(() => window.sockets.at(-1).url.includes("after=")), "it said how far it was");
  await page.done();
});

test("ten centrals are readable in one picture", async () => {
  const centrals = mesh(10);
  await Promise.all(centrals.map((central) => central.start()));
  const page = await openPage(`${centrals[0].url}/`);
  await says(page, "#linked", "9/9");
  await page.click("#mesh-more summary");
  const boxes = await page.evaluate(() => [...document.querySelectorAll("#picture .central rect")].map((rect) => rect.getBoundingClientRect().toJSON()));
  equal(boxes.length, 10);
  ok(boxes.every((box) => box.width > 0), "all are drawn");
  for (const [index, a] of boxes.entries()) {
    for (const b of boxes.slice(index + 1)) {
      ok(a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top, "no two centrals overlap");
    }
  }
  await centrals[9].kill();
  await says(page, "#linked", "8/9");
  await page.waitForSelector("#picture .central.disconnected, #picture .central.connecting");
  await centrals[4].enter("edge-1", "51F12345");
  await says(page, "#events", "51F-123.45");
  await page.done();
});

test("a wall tells all that needs a hand and each leads to where it is done", async () => {
  const [one, two] = mesh(2, { security: { admin: "open" }, edges: Array.from({ length: 10 }, (_, index) => ({ id: `edge-${index + 1}`, name: `Cổng ${index + 1}`, direction: "ENTRY" })) });
  await one.start();
  const wall = await openPage(`${one.url}/?wall`, { width: 1920, height: 1080 });
  await live(wall);
  await two.start();
  await says(wall, "#linked", "1/1");
  ok(await wall.locator(".pages").isHidden(), "no navigation");
  ok(await wall.locator("#notices details").evaluate((details) => details.open), "what is to be done is open");
  await two.enter("edge-1", "51F12345");
  await says(wall, "#gates", "51F-123.45");
  const head = wall.locator(".gate-card", { hasText: "51F-123.45" }).locator(".gate-head");
  equal((await head.innerText()).split(/\s*\n\s*/), ["Cổng 1", "central-2"], "whose of two gates of one name it is");
  await two.kill();
  // A restart is over before somebody is called.
  await says(wall, "#linked", "0/1");
  ok(!(await textOf(wall, "#notices")).includes("central-2 mất kết nối"), "not at once");
  await eventually("the wall says that central-2 is gone", async () => (await textOf(wall, "#notices")).includes("central-2 mất kết nối"), GONE_MS);
  await says(wall, "#incomplete", "central-2");
  equal(await wall.locator("#notices li", { hasText: "central-2 mất kết nối" }).locator("a").getAttribute("href"), "/settings#p2p");
  // With something to be done, too, all of it is on the screen.
  for (const [width, height] of [[1920, 1080], [1366, 768], [3840, 2160]]) {
    await wall.setViewportSize({ width, height });
    await settled(wall);
    const [tall, gates] = await wall.evaluate(() => [document.documentElement.scrollHeight, [...document.querySelectorAll(".gate-card")].map((card) => card.getBoundingClientRect().bottom)]);
    ok(tall <= height && gates.every((bottom) => bottom <= height), `${width}x${height}: ${tall} high, gates end at ${gates}`);
    await wall.screenshot({ path: join(root, `target/screenshots/wall-alarm-${width}.png`) });
  }
  // Fewer are larger, and still all there.
  await wall.setViewportSize({ width: 1920, height: 1080 });
  const sizes = [];
  for (const count of [20, 12, 6]) {
    const [bottom, plate] = await wall.evaluate((count) => {
      const list = document.getElementById("gates");
      for (const [index, card] of [...list.children].entries()) card.hidden = index >= count;
      list.classList.toggle("few", count <= 6);
      list.classList.toggle("some", count > 6 && count <= 12);
      const cards = [...list.children].filter((card) => !card.hidden).map((card) => card.getBoundingClientRect().bottom);
      return [Math.max(...cards), Number.parseFloat(getComputedStyle(list.querySelector(".plate")).fontSize)];
    }, count);
    ok(bottom <= 1080, `${count} gates end at ${bottom}`);
    sizes.push(plate);
  }
  ok(sizes[0] < sizes[1] && sizes[1] < sizes[2], `the fewer the larger: ${sizes}`);
  await wall.done();
});

test("what was taken stays in its figure however much it is", async () => {
  const central = await new Central("central-1").start();
  const leave = (plate, fee) => central.call("POST", "/api/edge/barrier/open", { edge_id: "edge-2", plate_id: plate, direction: "EXIT", force: true, fee });
  const page = await openPage(central.url);
  await live(page);
  const sizes = [["", 360, 740], ["", 760, 1024], ["", 800, 1280], ["", 1366, 900], ["?wall", 1920, 1080], ["?wall", 3840, 2160]];
  const most = 100_000_000;
  let taken = 0;
  for (const total of [99_999_999, 999_999_999]) {
    for (let car = 0; taken < total; car += 1) {
      const fee = Math.min(most, total - taken);
      const answer = await leave(`30A${String(total % 97).padStart(2, "0")}${String(100 + car)}`, fee);
      ok(answer.success, JSON.stringify(answer));
      taken += fee;
    }
    for (const [query, width, height] of sizes) {
      await page.setViewportSize({ width, height });
      await page.goto(`${central.url}/${query}`);
      await says(page, "#revenue", `${new Intl.NumberFormat("vi-VN").format(total)} đ`);
      await settled(page);
      await page.screenshot({ path: join(root, `target/screenshots/revenue-${total}-${width}.png`) });
      const beyond = await page.evaluate(() => {
        const range = document.createRange();
        range.selectNodeContents(document.getElementById("revenue"));
        return range.getBoundingClientRect().right - document.getElementById("revenue").closest(".figure").getBoundingClientRect().right;
      });
      ok(beyond < 0, `${total} at ${width}: ${beyond} px beyond its figure`);
    }
  }
  await page.done();
});

test("a wall with few gates shows the course of the day, and what happened at which gate, however much was paid", async () => {
  const central = await new Central("central-1", { edges: [{ id: "edge-1", name: "Cổng A vào" }, { id: "edge-2", name: "Cổng A ra" }] }).start();
  const out = (plate, more) => central.call("POST", "/api/edge/barrier/open", { edge_id: "edge-2", plate_id: plate, direction: "EXIT", ...more });
  await central.call("PUT", "/api/parking/fees", { fees: { fee_base: 0, fee_per_hour: 25_000 } });
  await central.enter("edge-1", "29X177563");
  await eventually("it left", async () => (await out("29X177563")).success);
  await out("30A99999", { force: true, fee: 99_999_000 });
  const page = await openPage(`${central.url}/?wall`, { width: 1920, height: 1080 });
  await says(page, "#events", "99.999.000 đ");
  await page.waitForSelector("#course canvas");
  await settled(page);
  await page.screenshot({ path: join(root, "target/screenshots/wall-few.png") });
  const details = await page.locator("#events .detail:visible").evaluateAll((all) => all.map((one) => ({ text: one.textContent, width: one.clientWidth, whole: one.scrollWidth <= one.clientWidth })));
  ok(details.length >= 3, JSON.stringify(details));
  for (const { text, width, whole } of details) ok(whole || width > 150, `"${text}" has ${width} px`);
  const [plot, canvas] = await page.evaluate(() => ["#course", "#course canvas"].map((place) => document.querySelector(place).getBoundingClientRect().height));
  ok(plot > 150 && Math.abs(plot - canvas) <= 1, `the course has ${plot} px, its picture ${canvas}`);
  await page.done();
});

test("half a million messages do not grow an open page", async () => {
  const central = await new Central("central-1").start();
  // A feed that sends as fast as it is acknowledged.
  const before = () => {
    window.WebSocket = class Flood extends EventTarget {
      static OPEN = 1;
      readyState = 1;
      number = 0;
      wanted = 0;
      constructor() {
        super();
        window.flood = this;
        setTimeout(() => this.say({ type: "snapshot", feed: "f", central: { id: "central-1", site: "", time_zone: "Asia/Ho_Chi_Minh", can_commit: true, tariff_version: "built-in", open: [] }, lot: { inside: 0, inside_by_type: [], entries: 0, exits: 0, revenue: 0 }, peers: {}, logs: {}, gates: {}, events: [] }));
      }
      say(message) {
        this.number += 1;
        this.dispatchEvent(new MessageEvent("message", { data: JSON.stringify({ number: this.number, now_ms: Date.now(), ...message }) }));
      }
      send() {}
      close() {}
      run(count) {
        return new Promise((resolve) => {
          const batch = () => {
            for (let index = 0; index < 2000 && count > 0; index += 1, count -= 1) {
              const plate = `29A${String(this.number % 100000).padStart(5, "0")}`;
              this.say({ type: "change", after: this.number, lot: { inside: this.number, inside_by_type: [], entries: this.number, exits: 0, revenue: 0 }, events: [{ kind: "entry", id: `log#${this.number}`, at_ms: Date.now(), central: "central-1", edge: "edge-1", plate_id: plate, plate_view: plate }], gates: { "central-1/edge-1": { central: "central-1", edge: "edge-1", last: { kind: "entry", at_ms: Date.now(), plate_id: plate } } } });
            }
            if (count > 0) setTimeout(batch); else resolve();
          };
          batch();
        });
      }
    };
  };
  const page = await openPage(`${central.url}/`, { before });
  await live(page);
  const heap = async () => {
    await page.evaluate(() => { window.gc(); window.gc(); });
    return page.evaluate(() => performance.memory.usedJSHeapSize);
  };
  await page.evaluate(() => window.flood.run(20_000));
  const first = await heap();
  // In parts, of which each has a deadline.
  for (let part = 0; part < 24; part += 1) await page.evaluate(() => window.flood.run(20_000));
  await says(page, "#inside", "500.001".slice(0, 3));
  const last = await heap();
  console.log(`  heap after 20,000 messages ${(first / 1e6).toFixed(1)} MB, after 500,000 ${(last / 1e6).toFixed(1)} MB`);
  ok(last < first + 5e6, `the page grew from ${first} to ${last} bytes`);
  ok(await page.evaluate(() => document.querySelectorAll("#events li").length <= 20), "the list is bounded");
  await page.done();
});

test("the example client of the documents follows a central", async () => {
  const text = readFileSync(join(root, "docs/status-feed.md"), "utf8");
  const code = text.split("```js\n")[1].split("```")[0];
  ok(code.split("\n").length <= 23, "it is short");
  const central = await new Central("central-1").start();
  const page = await openPage(`${central.url}/history`);
  await page.evaluate(`(() => { ${code}; follow("ws://${central.ip}:28000/ws/status", (state) => { window.shown = state; }); })()`);
  await eventually("a snapshot", () => page.evaluate(() => window.shown?.lot?.inside === 0));
  await central.enter("edge-1", "29A12345");
  await eventually("the entry", () => page.evaluate(() => window.shown.lot.inside === 1 && window.shown.events.at(-1).plate_id === "29A12345"));
  await page.done();
});

test("what is wrong with files and ports is said in the language of the reader on every page", async () => {
  const central = await new Central("central-1").start();
  await central.kill();
  writeFileSync(join(central.directory, "data/accounts.json"), "{");
  writeFileSync(join(central.directory, "p2p_config.json"), "{");
  writeFileSync(join(central.directory, "data/identity.pem"), "no key");
  writeFileSync(join(central.directory, "data/central.db.rescued"), "x");
  await central.start();
  const english = /\b(the|is|not|it|line|column|no|lies|refused|cannot|error|expected|EOF)\b/i;
  for (const path of ["/", "/gate", "/history", "/shifts", "/settings", "/login", "/audit"]) {
    const page = await openPage(central.url + path);
    await live(page);
    for (const text of ["không phải JSON, sai ở dòng 1", "tệp hỏng cất ở", "thiếu khóa riêng", "bản chép của cơ sở dữ liệu"]) {
      await eventually(`${path}: ${text}`, async () => (await page.textContent("#notices")).includes(text));
    }
    const said = (await page.locator("#notices li").allTextContents()).map((text) => text.replace(/\/\S+/g, "").replace(/\([^)]*\)/g, ""));
    ok(said.length >= 4 && !said.some((text) => english.test(text)), `${path}: ${said.join("\n")}`);
    await page.done();
  }
  const foreign = await openPage(central.url, { language: "en" });
  await eventually("as it was said", async () => (await foreign.textContent("#notices")).includes("no private key"));
  await foreign.done();
});

test("what people changed says which car and who did it", async () => {
  const central = await new Central("central-1").start();
  const stay = await central.enter("edge-1", "29A12345");
  const page = await openPage(central.url);
  await live(page);
  await central.call("PUT", `/api/parking/history/${stay}`, { camera_type: "truck", reason: "x" });
  await says(page, "#events li:first-child", "29A-123.45");
  await central.call("DELETE", `/api/parking/history/${stay}`, { reason: "x" });
  await says(page, "#events li:first-child", "Hủy");
  await says(page, "#events li:first-child", "29A-123.45");
  await central.call("POST", "/api/edge/barrier/open", { edge_id: "edge-1", direction: "EXIT", force: true, fee: 5000, reason: "x" });
  await says(page, "#events li:first-child", "Không đọc được");
  await says(page, "#events li:first-child", "5.000 đ");
  await page.done();
});
