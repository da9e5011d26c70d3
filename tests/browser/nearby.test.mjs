// Centrals that find each other on a network: hosts of their own (network namespaces) on one bridge, and a press at each end.

import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Central, equal, eventually, live, ok, openPage, root, says, settled, test } from "./harness.mjs";

const PASSWORD = "ba con voi";
const TAG = `pj${process.pid}`;
/** Of the benchmark range, which nobody routes; away from what `tests/faults` takes. */
const NET = `198.18.${128 + process.pid % 128}`;

function ip(...words) {
  const { status, stderr, error } = spawnSync("ip", words, { encoding: "utf8" });
  return status === 0 ? null : `ip ${words.join(" ")}: ${error ?? stderr}`;
}

/** A bridge with so many hosts; gives why this machine cannot. */
function makeHosts(count) {
  // An address of version 6 would come seconds later by itself, and the browser breaks off what it loads whenever an address comes.
  const still = (link) => ["link", "set", link, "addrgenmode", "none"];
  const steps = [
    ["link", "add", TAG, "type", "bridge"], still(TAG), ["address", "add", `${NET}.254/24`, "dev", TAG], ["link", "set", TAG, "up"],
  ];
  for (let host = 1; host <= count; host += 1) {
    const [name, cable] = [`${TAG}-${host}`, `${TAG}v${host}`];
    steps.push(
      ["netns", "add", name], ["link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name], still(cable),
      ["link", "set", cable, "master", TAG, "up"],
      ["-n", name, "address", "add", `${NET}.${host}/24`, "dev", "eth0"], ["-n", name, "link", "set", "eth0", "up"], ["-n", name, "link", "set", "lo", "up"],
    );
  }
  return steps.reduce((problem, step) => problem ?? ip(...step), null);
}

function removeHosts(count) {
  for (let host = 1; host <= count; host += 1) {
    // Its other end goes with it, also while a central still runs there.
    ip("link", "del", `${TAG}v${host}`);
    ip("netns", "del", `${TAG}-${host}`);
  }
  ip("link", "del", TAG);
}

const central = (host) => new Central(`central-${host}`, { security: { admin: "password" } }).onHost(`${NET}.${host}`, ["ip", "netns", "exec", `${TAG}-${host}`]);

/**
 * The settings page of a central, as its administrator: made with the first code, later logged in. A browser says of every address in clear that is
 * not loopback that one header has no effect there.
 */
async function settings(at, options = {}) {
  const page = await openPage(`${at.url}/login?back=/settings`, { expected: /401|Cross-Origin-Opener-Policy/, ...options });
  if (at.hasAdministrator) {
    await page.fill("#login-name", "an");
    await page.fill("#login-password", PASSWORD);
    await page.click("#enter-form button[type=submit]");
  } else {
    await page.fill("#code-field", await at.firstCode());
    await page.fill("#code-name", "an");
    for (const field of ["#code-password", "#code-again"]) await page.fill(field, PASSWORD);
    await page.click("#code-form button[type=submit]");
    at.hasAdministrator = true;
  }
  await page.waitForURL(({ pathname }) => pathname === "/settings");
  await live(page);
  return page;
}

async function picture(page, name) {
  const directory = join(root, "target/screenshots");
  mkdirSync(directory, { recursive: true });
  await settled(page);
  ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth + 1), `${name} is not wider than the window`);
  await page.screenshot({ path: join(directory, `${name}.png`), fullPage: true });
}

test("a central that is found nearby is linked by a press at each end, and one of another site is not", async () => {
  const problem = makeHosts(3);
  try {
    if (problem !== null) return console.log(`  skipped: ${problem}`);
    const [one, two, elsewhere] = [1, 2, 3].map(central);
    for (const at of [one, two, elsewhere]) await at.start();
    const far = await settings(elsewhere);
    await far.click("#invite");
    await far.waitForSelector("#invitation-text");
    await far.done();

    const page = await settings(one);
    const row = (page, id) => page.locator("#nearby li", { hasText: id });
    await eventually("both are found", async () => await page.locator("#nearby li").count() === 2);
    await says(page, "#nearby", "chưa thuộc bãi xe nào");
    // Its site is firm, this one's is not yet: a link would bring this central there.
    await eventually("a site is known", async () => (await row(page, "central-3").innerText()).includes("thuộc một bãi xe đã có"), 90_000);
    await picture(page, "settings-nearby-vi-1366");
    for (const [language, width] of [["vi", 360], ["en", 1366], ["en", 360]]) {
      const other = await settings(one, { language, width, height: 740 });
      await eventually("both are found", async () => await other.locator("#nearby li").count() === 2);
      await picture(other, `settings-nearby-${language}-${width}`);
      await other.done();
    }

    const { fingerprint } = await two.call("GET", "/api/p2p/status");
    await row(page, "central-2").locator("button").click();
    await says(page, "dialog .fingerprint", fingerprint);
    await picture(page, "settings-nearby-compare");
    await page.click("dialog .btn-primary");
    await says(page, "#toasts", "Đã thêm central-2");
    const there = await settings(two);
    await says(there, "#pending", "central-1");
    ok(!(await there.locator("#nearby").innerText()).includes("central-1"), "it is asked about once");
    await there.click("#pending .btn-primary");
    await there.click("dialog .btn-primary");
    await says(page, "#peers .how", "Kết nối (");
    await says(there, "#peers .how", "Kết nối (");
    await says(page, "#nearby", "thuộc bãi xe khác nên không liên kết");
    equal(await page.locator("#nearby button").count(), 0);
    await picture(page, "settings-nearby-other-site");
    await page.done();
    await there.done();
  } finally {
    removeHosts(3);
  }
});
