// The pages in Firefox ESR, as many offices have it: every page comes up without an error, in both languages, and a car is let in and
// out. Driven by the protocol Firefox itself brings (Marionette: JSON over TCP), so that the one of the distribution is what is tried.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Central, DEADLINE_MS, equal, eventually, ok, root, test, within } from "./harness.mjs";

const PROGRAM = [process.env.FIREFOX, "/usr/bin/firefox-esr", "/usr/bin/firefox"].find((path) => path && existsSync(path));
const PAGES = ["/", "/?wall", "/gate?edge=edge-1", "/history", "/shifts", "/settings", "/login", "/audit"];
const PORT = 20_000 + (process.pid % 10_000);

/** One Firefox with a window, and what can be asked of it. */
async function firefox() {
  const profile = mkdtempSync(join(tmpdir(), "parkmesh-firefox-"));
  const quiet = ["app.update.enabled", "datareporting.policy.dataSubmissionEnabled", "browser.shell.checkDefaultBrowser", "network.captive-portal-service.enabled", "network.connectivity-service.enabled", "extensions.getAddons.cache.enabled"];
  writeFileSync(join(profile, "user.js"), [`user_pref("marionette.port", ${PORT});`, ...quiet.map((name) => `user_pref("${name}", false);`)].join("\n"));
  const child = spawn(PROGRAM, ["--marionette", "--remote-allow-system-access", "--headless", "--no-remote", "--profile", profile], { stdio: "ignore", env: { ...process.env, HOME: profile } });
  let socket = null;
  await eventually("Firefox listens", () => new Promise((done) => {
    socket = connect(PORT, "127.0.0.1", () => done(true)).on("error", () => done(false));
  }), 3 * DEADLINE_MS);
  let bytes = Buffer.alloc(0);
  const waiting = new Map();
  socket.on("data", (data) => {
    bytes = Buffer.concat([bytes, data]);
    for (let colon = bytes.indexOf(":"); colon > 0; colon = bytes.indexOf(":")) {
      const length = Number(bytes.subarray(0, colon));
      if (bytes.length < colon + 1 + length) return;
      const said = JSON.parse(bytes.subarray(colon + 1, colon + 1 + length));
      bytes = bytes.subarray(colon + 1 + length);
      // The first says who speaks.
      const [, id, error, result] = Array.isArray(said) ? said : [];
      waiting.get(id)?.(error, result);
      waiting.delete(id);
    }
  });
  let number = 0;
  const call = (name, parameters = {}) => within(name, new Promise((resolve, reject) => {
    number += 1;
    waiting.set(number, (error, result) => (error ? reject(new Error(`${name}: ${error.message}`)) : resolve(result)));
    const text = JSON.stringify([0, number, name, parameters]);
    socket.write(`${Buffer.byteLength(text)}:${text}`);
  }), 3 * DEADLINE_MS);
  const { capabilities } = await call("WebDriver:NewSession", {});
  const inContext = async (context, script, args = []) => {
    await call("Marionette:SetContext", { value: context });
    return (await call("WebDriver:ExecuteScript", { script, args })).value;
  };
  return {
    version: capabilities.browserVersion,
    ask: (script, ...args) => inContext("content", script, args),
    go: async (url) => {
      await call("Marionette:SetContext", { value: "content" });
      await call("WebDriver:Navigate", { url });
    },
    /** What went wrong on pages of that address since it was asked last. */
    faults: (address) => inContext("chrome", `
      const found = Services.console.getMessageArray().filter((one) => one instanceof Ci.nsIScriptError && !(one.flags & Ci.nsIScriptError.warningFlag) && one.sourceName.startsWith(arguments[0])).map((one) => one.errorMessage + " " + one.sourceName + ":" + one.lineNumber);
      Services.console.reset();
      return found;`, [address]),
    picture: async () => {
      await call("Marionette:SetContext", { value: "content" });
      return Buffer.from((await call("WebDriver:TakeScreenshot", { full: true })).value, "base64");
    },
    size: (width, height) => call("WebDriver:SetWindowRect", { width, height }),
    end: async () => {
      const gone = new Promise((resolve) => child.once("exit", resolve));
      await call("Marionette:Quit", { flags: ["eForceQuit"] }).catch(() => child.kill());
      await within("Firefox ends", gone).catch(() => child.kill("SIGKILL"));
      socket.destroy();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}

test("the pages work in Firefox ESR", async () => {
  if (!PROGRAM) {
    console.log("SKIPPED the_pages_work_in_firefox_esr: no Firefox is installed (FIREFOX names one)");
    return;
  }
  const central = await new Central("central-1", { edges: [{ id: "edge-1", name: "Cổng A vào", direction: "ENTRY" }, { id: "edge-2", name: "Cổng A ra", direction: "EXIT" }] }).start();
  await central.call("PUT", "/api/parking/fees", { fees: { fee_base: 0, fee_per_hour: 25000, fee_overnight: 0, fee_daily_max: 0, types: {} } });
  const browser = await firefox();
  try {
    await browser.size(800, 1100);
    const until = (what, script) => eventually(what, () => browser.ask(`return ${script}`));
    const text = (id) => `document.getElementById("${id}").innerText`;
    await browser.go(`${central.url}/login`);
    for (const language of ["vi", "en"]) {
      await browser.ask("localStorage.setItem('language', arguments[0])", language);
      for (const path of PAGES) {
        await browser.go(central.url + path);
        await until(`${language} ${path} is live`, `document.querySelector("#freshness.good") !== null && document.documentElement.lang === "${language}"`);
        ok(await browser.ask("return document.getElementById('old-browser').hidden"), "it is young enough");
        ok(await browser.ask("return document.documentElement.scrollWidth <= innerWidth"), `${path} fits`);
      }
    }
    await browser.ask("localStorage.setItem('language', 'vi')");
    for (const [edge, plate, says] of [["edge-1", "29A-123.45", "Đã mở cho vào"], ["edge-2", "29A-123.45", "Đã mở cho ra"]]) {
      await browser.go(`${central.url}/gate?edge=${edge}`);
      await until("the gate is live", 'document.querySelector("#freshness.good") !== null');
      await central.call("POST", "/api/edge/detection", { edge_id: edge, plate_id: plate, camera_type: "car", confidence: 0.9 });
      await until("the car that was read", `${text("car-plate")} === "${plate}" && !document.getElementById("open").hidden`);
      writeFileSync(join(root, `target/screenshots/gate-firefox-${edge}.png`), await browser.picture());
      // In one step: what stands there may change, and then it cannot be pressed for another second.
      await until("a button that can be pressed", '(() => { const open = document.getElementById("open"); const may = !open.hidden && open.getAttribute("aria-disabled") === null; if (may) open.click(); return may; })()');
      await until(says, `${text("car-state")} === "${says}"`);
    }
    await browser.go(`${central.url}/history`);
    await until("the row", 'document.querySelectorAll("#rows tr").length === 1');
    await browser.ask("document.querySelector('#rows .open').click()");
    await until("its story", `document.getElementById("story").open && ${text("story")}.includes("29A-123.45")`);
    // What a page had just asked when it was left has no answer: no fault.
    equal((await browser.faults(central.url)).filter((fault) => !/Máy chủ không trả lời|No answer from the central/.test(fault)), []);
    console.log(`  Firefox ${browser.version}`);
  } finally {
    await browser.end();
  }
});
