// The pages in a real browser against real centrals: `npm ci && node run.mjs [parts of the names of tests]`. Needs target/debug/parkmesh
// (or PARKMESH_BIN) and Debian's Chromium (or CHROMIUM). Screenshots go to target/screenshots.

import { runAll } from "./harness.mjs";

await import("./units.test.mjs");
await import("./settings.test.mjs");
await import("./nearby.test.mjs");
await import("./login.test.mjs");
await import("./dashboard.test.mjs");
await import("./gate.test.mjs");
await import("./history.test.mjs");
await import("./audit.test.mjs");
await import("./shifts.test.mjs");
await import("./old_browser.test.mjs");
await import("./firefox.test.mjs");
await import("./presses.test.mjs");
await import("./every_page.test.mjs");
await runAll();
