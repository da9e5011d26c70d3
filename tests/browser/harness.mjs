// The harness of the browser tests: real centrals on loopback addresses of their own, a real browser, and waiting for
// conditions with a deadline. A page that is closed must have logged no error and asked nobody but centrals of the test.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

export const here = dirname(fileURLToPath(import.meta.url));
export const root = join(here, "../..");
const program = process.env.PARKMESH_BIN ?? join(root, "target/debug/parkmesh");
const API_PORT = 28000;
const P2P_PORT = 29000;

/** How long anything may take that should take far less, on a busy machine with a debug build. */
export const DEADLINE_MS = 20_000;

let addresses = 0;
/** An address of the loopback net for one central of this process. */
function ownAddress() {
  addresses += 1;
  return `127.${192 + ((process.pid >> 8) % 32)}.${process.pid % 256}.${addresses}`;
}

/** How long a whole test may take that does not say otherwise: the longest, with 500 presses, takes half a minute. */
const TEST_DEADLINE_MS = 240_000;

/** Gives what is waited for its deadline: a browser that has died answers nothing, for ever. */
export async function within(what, promise, deadlineMs = DEADLINE_MS) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`not within ${deadlineMs} ms: ${what}`)), deadlineMs); });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Those calls of a page that playwright gives no deadline. */
export function withDeadlines(page) {
  page.setDefaultTimeout(DEADLINE_MS);
  for (const name of ["evaluate", "evaluateHandle", "addInitScript", "emulateMedia", "setViewportSize", "content", "title"]) {
    const call = page[name].bind(page);
    page[name] = (...given) => within(`page.${name} at ${page.url()}`, call(...given), 3 * DEADLINE_MS);
  }
  return page;
}

export async function eventually(what, condition, deadlineMs = DEADLINE_MS) {
  const start = Date.now();
  for (;;) {
    const found = await within(what, condition(), deadlineMs);
    if (found) return found;
    if (Date.now() - start > deadlineMs) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const running = new Set();

/** One central: its settings and directory, and the process while it runs. */
export class Central {
  constructor(id, settings = {}) {
    this.id = id;
    this.runner = [];
    this.ip = ownAddress();
    this.url = `http://${this.ip}:${API_PORT}`;
    this.directory = mkdtempSync(join(tmpdir(), "parkmesh-browser-"));
    this.settings = { this_central: { id, ip: this.ip, p2p_port: P2P_PORT, api_port: API_PORT }, peer_centrals: [], security: { admin: "open" }, ...settings };
  }

  addPeers(...others) {
    for (const other of others) {
      if (other !== this) this.settings.peer_centrals.push({ id: other.id, ip: other.ip, p2p_port: P2P_PORT });
    }
    return this;
  }

  /** On a host of its own: at an address there, run by a program that ends by exec. */
  onHost(ip, runner) {
    Object.assign(this, { ip, url: `http://${ip}:${API_PORT}`, runner });
    this.settings.this_central.ip = ip;
    return this;
  }

  async start() {
    const file = join(this.directory, "p2p_config.json");
    if (!existsSync(file)) writeFileSync(file, JSON.stringify(this.settings));
    const log = openSync(join(this.directory, "log.txt"), "a");
    const [command, ...words] = [...this.runner, program, "serve", "--config", file, "--data-dir", join(this.directory, "data")];
    this.child = spawn(command, words, { stdio: ["ignore", log, log], cwd: this.directory });
    running.add(this);
    await eventually(`${this.id} is ready`, async () => {
      if (this.child.exitCode !== null) throw new Error(`${this.id} ended: ${this.log()}`);
      return (await fetch(`${this.url}/readyz`).catch(() => null))?.ok;
    });
    return this;
  }

  /** The code by which its first administrator is made: said soon after it is ready. */
  firstCode() {
    return eventually(`${this.id} says its first code`, () => /event=first_code code=(\S+) /.exec(this.log())?.[1]);
  }

  log() {
    return readFileSync(join(this.directory, "log.txt"), "utf8").split("\n").slice(-30).join("\n");
  }

  /** As a power cut would. */
  async kill() {
    const { child } = this;
    running.delete(this);
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }

  async call(method, path, body) {
    const answer = await fetch(this.url + path, {
      method, headers: { "Content-Type": "application/json" }, body: body === undefined ? undefined : JSON.stringify(body), signal: AbortSignal.timeout(DEADLINE_MS),
    });
    return { status: answer.status, ...await answer.json() };
  }

  async enter(edge, plate, type = "car") {
    const answer = await this.call("POST", "/api/edge/barrier/open", { edge_id: edge, plate_id: plate, camera_type: type, direction: "ENTRY" });
    if (!answer.success) throw new Error(`${plate} at ${edge}: ${JSON.stringify(answer)}`);
    return answer.event_id;
  }

  async leave(edge, plate) {
    return this.call("POST", "/api/edge/barrier/open", { edge_id: edge, plate_id: plate, direction: "EXIT" });
  }
}

/** `count` centrals that know each other, not started. */
export function mesh(count, settings = {}) {
  const centrals = Array.from({ length: count }, (_, index) => new Central(`central-${index + 1}`, structuredClone(settings)));
  return centrals.map((central) => central.addPeers(...centrals));
}

export async function stopAll() {
  for (const central of [...running]) {
    await central.kill();
    rmSync(central.directory, { recursive: true, force: true });
  }
}

export const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--js-flags=--expose-gc", "--enable-precise-memory-info"],
});

/**
 * Opens a page. `expected`: console messages that belong to the test (a refusal is logged by the browser itself). `page.check()`
 * fails on any other error and on any request that left the centrals.
 */
export async function openPage(url, { language = "vi", width = 1366, height = 900, scheme = "light", scale = 1, expected = null, before = null } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, deviceScaleFactor: scale, colorScheme: scheme, reducedMotion: "reduce" });
  await context.addInitScript((language) => localStorage.setItem("language", language), language);
  if (before) await context.addInitScript(before);
  const page = withDeadlines(await context.newPage());
  const faults = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type()) && !expected?.test(message.text())) faults.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  const look = (address) => {
    const host = new URL(address).hostname;
    if (!/^(127|198\.18)\./.test(host) && !address.startsWith("data:")) faults.push(`left the centrals: ${address}`);
  };
  page.on("request", (request) => look(request.url()));
  page.on("websocket", (socket) => look(socket.url()));
  page.check = () => {
    if (faults.length > 0) throw new Error(faults.join("\n"));
  };
  page.done = async () => {
    page.check();
    await within("the page is closed", context.close());
  };
  await page.goto(url);
  await page.waitForSelector("html:not(.awaiting-texts)");
  return page;
}

/** Asks to change the part of the settings that this is in. */
export const edit = (page, inside) => page.locator("[data-editable]", { has: page.locator(inside) }).locator(".edit-part").click();

/** Waits until the page follows its central. */
export const live = (page) => page.waitForSelector("#freshness.good");

/** Waits until the page of settings hears presses, all of them: then it shows whose certificate it is. */
export const started = (page) =>
  eventually("the page of settings shows its certificate", () => page.evaluate(() => document.getElementById("own-fingerprint").textContent !== "–"));

/** Waits until fonts are there, nothing moves, and nothing on the page has changed for a tenth of a second. */
export const settled = (page) => page.evaluate(async (deadlineMs) => {
  await document.fonts.ready;
  const start = performance.now();
  let changed = start;
  const observer = new MutationObserver(() => { changed = performance.now(); });
  observer.observe(document, { attributes: true, characterData: true, childList: true, subtree: true });
  const moves = () => document.getAnimations().some((animation) => animation.playState === "running");
  while (moves() || performance.now() - changed < 100) {
    if (performance.now() - start > deadlineMs) throw new Error(`the page does not come to rest within ${deadlineMs} ms`);
    await new Promise(requestAnimationFrame);
  }
  observer.disconnect();
}, DEADLINE_MS);

export const textOf = (page, selector) => page.locator(selector).first().innerText();

/** Waits until the element says that. */
export const says = (page, selector, text) =>
  eventually(`${selector} says "${text}"`, async () => (await page.locator(selector).allInnerTexts()).join("\n").includes(text));

export function equal(found, wanted, what = "") {
  if (JSON.stringify(found) !== JSON.stringify(wanted)) {
    throw new Error(`${what} expected ${JSON.stringify(wanted)}, found ${JSON.stringify(found)}`);
  }
}

export function ok(condition, what) {
  if (!condition) throw new Error(what);
}

const tests = [];
export const test = (name, run, deadlineMs = TEST_DEADLINE_MS) => tests.push({ name, run, deadlineMs });

/** Runs what was declared and ends the process; the last line is as cargo's. */
export async function runAll(only = process.argv.slice(2)) {
  let [passed, failed] = [0, 0];
  for (const { name, run, deadlineMs } of tests.filter((one) => only.length === 0 || only.some((part) => one.name.includes(part)))) {
    const start = Date.now();
    try {
      await within(name, run(), deadlineMs);
      passed += 1;
      console.log(`test browser::${name.replaceAll(" ", "_")} ... ok (${Date.now() - start} ms)`);
    } catch (error) {
      failed += 1;
      console.log(`test browser::${name.replaceAll(" ", "_")} ... FAILED\n${error.stack}`);
      for (const central of running) console.log(`--- ${central.id} ---\n${central.log()}`);
    }
    for (const context of browser.contexts()) await within("its pages are closed", context.close()).catch((error) => console.log(error.message));
    await stopAll();
  }
  await within("the browser ends", browser.close()).catch((error) => console.log(error.message));
  console.log(`\ntest result: ${failed === 0 ? "ok" : "FAILED"}. ${passed} passed; ${failed} failed; 0 ignored`);
  // What hangs is not waited for.
  process.exit(failed === 0 ? 0 : 1);
}
