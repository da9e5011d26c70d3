// The pages in a Chromium of 2021, as a tablet that was never updated has: every page comes up without an error, and a car is let
// in. The driver of today cannot look into it as into today's, so here only what the page itself says is asked.

import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliDecompressSync } from "node:zlib";
import { chromium } from "playwright-core";
import { equal, eventually, here, mesh, ok, root, test, withDeadlines, within } from "./harness.mjs";

const PAGES = ["/", "/?wall", "/gate?edge=edge-1", "/history", "/shifts", "/settings", "/login", "/audit"];
/** What its own date and time fields do, not the pages. */
const ITS_OWN = /Refused to apply inline style/;

/** The browser, unpacked once; null where its package is not installed or was not built for this machine. */
function oldChromium() {
  const packed = join(here, "node_modules/chrome-aws-lambda/bin");
  const unpacked = join(here, "node_modules/.cache/chromium-2021");
  const program = join(unpacked, "chromium");
  if (process.arch !== "x64" || !existsSync(packed)) return null;
  if (!existsSync(program)) {
    mkdirSync(unpacked, { recursive: true });
    const plain = (name) => brotliDecompressSync(readFileSync(join(packed, `${name}.br`)));
    for (const archive of ["aws.tar", "swiftshader.tar"]) execFileSync("tar", ["-x", "-C", unpacked], { input: plain(archive) });
    writeFileSync(program, plain("chromium"));
    chmodSync(program, 0o755);
  }
  return { program, env: { ...process.env, LD_LIBRARY_PATH: join(unpacked, "lib") } };
}

test("the pages work in a Chromium of 2021 and an older one is told so", async () => {
  const old = oldChromium();
  if (old === null) {
    console.log("SKIPPED the_pages_work_in_a_chromium_of_2021: npm installed no such Chromium for this machine");
    return;
  }
  const [central, other] = mesh(2, { edges: [{ id: "edge-1", name: "Cổng A", direction: "ENTRY" }] });
  await Promise.all([central.start(), other.start()]);
  await central.enter("edge-1", "29A12345");
  const browser = await chromium.launch({ executablePath: old.program, env: old.env, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  ok(Number(browser.version().split(".")[0]) < 95, `an old one: ${browser.version()}`);
  const faults = [];
  const open = async (path, { language = "vi", userAgent } = {}) => {
    // It was built without languages: the browser's own is named here.
    const context = await browser.newContext({ viewport: { width: 800, height: 1280 }, locale: "vi-VN", userAgent });
    await context.addInitScript((language) => localStorage.setItem("language", language), language);
    const page = withDeadlines(await context.newPage());
    page.on("pageerror", (error) => faults.push(`${language} ${path}: ${error.message}`));
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type()) && !ITS_OWN.test(message.text())) faults.push(`${language} ${path}: ${message.text()}`);
    });
    await page.goto(central.url + path);
    return page;
  };
  const says = (page, what, look) => eventually(`${page.url()}: ${what}`, () => page.evaluate(look));

  try {
    for (const language of ["vi", "en"]) {
      for (const path of PAGES) {
        const page = await open(path, { language });
        await says(page, "live", () => document.querySelector("#freshness.good") !== null && !document.documentElement.classList.contains("awaiting-texts"));
        ok(await page.evaluate(() => document.getElementById("old-browser").hidden), "it is young enough");
        if (path === "/settings") await says(page, "the peer", () => document.querySelectorAll("#peers tr").length === 1);
        if (path === "/history") {
          await says(page, "a row", () => document.querySelectorAll("#rows tr").length === 1);
          await page.evaluate(() => document.querySelector("#rows .open").click());
          await says(page, "its story", () => document.getElementById("story").open && document.getElementById("story").innerText.includes("29A-123.45"));
        }
        await within("the page is closed", page.context().close());
      }
    }
    const gate = await open("/gate?edge=edge-1");
    await says(gate, "live", () => document.querySelector("#freshness.good") !== null);
    await central.call("POST", "/api/edge/detection", { edge_id: "edge-1", plate_id: "51F12345", camera_type: "car" });
    await says(gate, "the car that was read", () => document.getElementById("car-plate").innerText === "51F-123.45");
    await gate.screenshot({ path: join(root, "target/screenshots/gate-chromium-2021.png"), fullPage: true });
    // In one step: what stands there may change, and then it cannot be pressed for another second.
    await says(gate, "a button that can be pressed", () => {
      const open = document.getElementById("open");
      const may = !open.hidden && open.getAttribute("aria-disabled") === null;
      if (may) open.click();
      return may;
    });
    await says(gate, "opened", () => document.getElementById("car-state").innerText === "Đã mở cho vào");
    equal((await central.call("GET", "/api/parking/history")).history.length, 2, "cars inside");

    const older = await open("/gate", { userAgent: "Mozilla/5.0 (Linux; Android 8.1) AppleWebKit/537.36 Chrome/80.0.3987.99 Safari/537.36" });
    await says(older, "it is too old", () => document.getElementById("old-browser").offsetHeight > 0);
    equal(faults, []);
  } finally {
    await within("the old browser ends", browser.close());
  }
});
