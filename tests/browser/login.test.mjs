// Who may do what, as people meet it: the first code, logging in, people, tokens and keys, and coming to a mesh of nine.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Central, edit, equal, eventually, live, mesh, ok, openPage, root, says, settled, started, test } from "./harness.mjs";

const PASSWORD = "ba con voi";
/** As long as names may be. */
const LONG_NAME = "Nguyễn Hoàng Phương Thảo ca đêm cổng sau";
const LONG_TOKEN = "sao-luu-hang-dem-va-bao-cao-doanh-thu-01";

function shot(name) {
  const directory = join(root, "target/screenshots");
  mkdirSync(directory, { recursive: true });
  return join(directory, `${name}.png`);
}

/** A central whose administrator has yet to be made, and the code that makes him. */
async function locked(id, settings = {}) {
  const central = await new Central(id, { security: { admin: "password" }, ...settings }).start();
  return { central, code: await central.firstCode() };
}

/** Sets the first password, as the page asks. */
async function setPassword(page, code) {
  await page.fill("#code-field", code);
  await page.fill("#code-name", "an");
  await page.fill("#code-password", PASSWORD);
  await page.fill("#code-again", PASSWORD);
  await page.click("#code-form button[type=submit]");
}

/** Nothing on the page is wider than the window. */
async function fits(page, what) {
  const wide = await page.evaluate(() => {
    if (document.documentElement.scrollWidth <= innerWidth + 1) return [];
    const beyond = [...document.querySelectorAll("body *")].filter((element) => element.getBoundingClientRect().right > innerWidth + 1);
    return beyond.slice(-3).map((element) => `${element.tagName}.${element.className}#${element.id} ${element.textContent.slice(0, 40)}`);
  });
  equal(wide, [], `${what} is wider than the window:`);
}

/** Pictures for people to look at: wide, on a phone, dark. */
async function pictures(page, name) {
  for (const [kind, width, height, colorScheme] of [["wide", 1366, 900, "light"], ["phone", 360, 740, "light"], ["dark", 1366, 900, "dark"]]) {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await settled(page);
    await fits(page, `${name}-${kind}`);
    await page.screenshot({ path: shot(`${name}-${kind}`), fullPage: true });
  }
  await page.setViewportSize({ width: 1366, height: 900 });
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
}

test("the first code leads to a password, people, tokens and keys, and out again", async () => {
  const { central, code } = await locked("central-1", { edges: [{ id: "edge-1", name: "Cổng A vào, đường Trần Hưng Đạo", direction: "ENTRY" }, { id: "edge-2" }] });
  const page = await openPage(`${central.url}/settings`, { expected: /401|400/ });
  // Red on every page, and the way is there.
  await says(page, "#notices", "chưa có người quản trị");
  await page.click("#notices a");
  await page.waitForSelector("#first:not([hidden])");
  await settled(page);
  await pictures(page, "login-first");
  await setPassword(page, "AAAA-BBBB-CCCC");
  await page.waitForSelector("#toasts .bad");
  await setPassword(page, code);
  await page.waitForURL(/\/settings$/);
  await says(page, "#account", "an");

  await page.goto(`${central.url}/login`);
  await page.waitForSelector("#access:not([hidden])");
  await page.fill("#person-name", LONG_NAME);
  await page.fill("#person-password", "12345678");
  await page.click("#people-form button[type=submit]");
  await page.waitForSelector("#person-password.is-invalid");
  await page.fill("#person-password", "cong truoc");
  await page.selectOption("#person-role", "administrator");
  await page.click("#people-form button[type=submit]");
  await says(page, "#people", LONG_NAME);
  // Known here alone, until it is said once that the site shares one list.
  await says(page, "#people-known", "chỉ đăng nhập được ở máy chủ này");
  await page.click("#people-known button");
  await page.click("dialog[open] .btn-primary");
  await says(page, "#people-known", "Mọi máy chủ đã biết danh sách này");
  await page.fill("#token-name", LONG_TOKEN);
  await page.selectOption("#token-role", "administrator");
  await page.click("#tokens-form button[type=submit]");
  const token = await page.innerText("dialog .secret");
  await page.screenshot({ path: shot("login-token-made") });
  await page.click("dialog .btn-primary");
  await says(page, "#tokens", LONG_TOKEN);
  const asProgram = (token) => fetch(`${central.url}/api/access/people`, { headers: { Authorization: `Bearer ${token}` } }).then(({ status }) => status);
  equal(await asProgram(token), 200);
  await page.locator("#edge-keys tr", { hasText: "edge-1" }).locator("button").click();
  ok((await page.innerText("dialog .secret")).startsWith("pmedge_"), "the key is shown once");
  await page.click("dialog .btn-primary");
  await says(page, "#edge-keys", "có khóa");
  await pictures(page, "login-inside");

  // What somebody made ends when he is removed, and that is said.
  const other = await openPage(`${central.url}/login`, { expected: /401/ });
  await other.fill("#login-name", LONG_NAME);
  await other.fill("#login-password", "cong truoc");
  await other.click("#enter-form button[type=submit]");
  await other.waitForURL(/\/settings$/);
  await other.goto(`${central.url}/login`);
  await other.waitForSelector("#access:not([hidden])");
  await other.fill("#token-name", "ban-sao");
  await other.click("#tokens-form button[type=submit]");
  await other.click("dialog .btn-primary");
  await other.done();
  await page.reload();
  await says(page, "#tokens", "ban-sao");
  await page.locator("#people tr", { hasText: LONG_NAME }).locator(".btn-outline-danger").click();
  await page.screenshot({ path: shot("login-remove-person") });
  await page.click("dialog .btn-danger");
  await says(page, "#toasts", "ban-sao");
  await eventually("the token is gone from the list", async () => !(await page.innerText("#tokens")).includes("ban-sao"));
  equal(await asProgram(token), 200, "the other token goes on");

  await page.click("#leave");
  await page.waitForSelector("#enter:not([hidden])");
  ok(await page.locator("#access").isHidden(), "nothing of it is shown any more");
  await page.fill("#login-name", "an");
  await page.fill("#login-password", PASSWORD);
  await page.click("#enter-form button[type=submit]");
  await page.waitForURL(/\/settings$/);
  await page.done();
});

test("a shift lead corrects and voids, and an operator is told whom to ask", async () => {
  const { central, code } = await locked("central-1");
  const post = (path, body, cookie = "") => fetch(central.url + path, { method: "POST", headers: { "Content-Type": "application/json", Cookie: cookie }, body: JSON.stringify(body) });
  const made = await post("/api/access/code", { code, name: "an", password: PASSWORD });
  const cookie = made.headers.get("set-cookie").split(";")[0];
  for (const [name, role] of [["Bình", "operator"], ["Chi", "shift_lead"]]) equal((await post("/api/access/people", { name, role, password: PASSWORD }, cookie)).status, 201);
  await central.enter("edge-1", "29A12346");
  const enter = async (name, path) => {
    const page = await openPage(`${central.url}/login`);
    await page.fill("#login-name", name);
    await page.fill("#login-password", PASSWORD);
    await page.click("#enter-form button[type=submit]");
    await page.waitForURL(new RegExp(`${path}$`));
    await page.goto(`${central.url}/history`);
    await page.click("#rows .open");
    return page;
  };
  const operator = await enter("Bình", "/gate");
  await says(operator, "#story .amend", "trưởng ca hoặc người quản trị");
  equal(await operator.locator("#story .amend button").count(), 0, "buttons of who may not");
  await settled(operator);
  await operator.screenshot({ path: shot("history-story-operator") });
  // Prices can be looked at, and tried; nothing is offered that he may not save.
  await operator.goto(`${central.url}/settings#tariff`);
  await operator.waitForSelector("#looks-only:not([hidden])");
  await operator.waitForSelector("#rates input");
  equal(await operator.locator("#rates input:enabled, #lost-card:enabled, #save-tariff:visible, #add-list:visible").count(), 0, "fields of who may not save");
  await operator.fill("#preview-exit", "11:00");
  await eventually("the price of a stay is told", async () => (await operator.innerText("#preview-fee")).includes("đ"));
  await settled(operator);
  await operator.screenshot({ path: shot("settings-operator"), fullPage: true });
  for (const part of ["p2p", "site", "security", "subscriptions"]) {
    await operator.goto(`${central.url}/settings#${part}`);
    await operator.waitForSelector(`#${part}:not([hidden])`);
    equal(await operator.locator(`#${part} button:visible`).count(), 0, `buttons of ${part}`);
  }
  await operator.done();
  const lead = await enter("Chi", "/history");
  await lead.click(".amend .btn-outline-secondary");
  await lead.fill("#amend-plate_id", "29A-123.45");
  await lead.fill("#amend-reason", "đọc nhầm số cuối");
  await lead.keyboard.press("Enter");
  await says(lead, "#story .facts", "bởi Chi");
  await lead.goto(`${central.url}/login`);
  await says(lead, "#inside-title", "trưởng ca");
  ok(await lead.locator("#access").isHidden(), "people and tokens are for administrators");
  await lead.done();
});

test("modes and the keys of gates are switched on the settings page", async () => {
  const edges = [{ id: "edge-1", name: "Cổng A vào, đường Trần Hưng Đạo", direction: "ENTRY" }, { id: "edge-2", name: "Cổng A ra", direction: "EXIT" }];
  const central = await new Central("central-1", { edges }).start();
  const page = await openPage(`${central.url}/settings#security`, { expected: /400/ });
  await page.waitForSelector("#mode-edges");
  ok(await page.locator("#meaning-edges .state.bad").count() === 1, "open is red");
  await edit(page, "#mode-edges");
  await page.selectOption("#mode-edges", "keys");
  await says(page, "#meaning-edges", "edge-1, edge-2");
  await pictures(page, "settings-security");
  // Keys are made while something else is being changed, and nothing of that is lost.
  await page.click('.tabs a[href="/settings#site"]');
  for (const edge of ["edge-1", "edge-2"]) {
    const row = page.locator("#edges tr").filter({ has: page.locator(`[id="edge-${edge}-id"]`) });
    await row.locator(".key button").first().click();
    await page.click("dialog .btn-primary");
    await eventually(`${edge} has a key`, async () => (await row.locator(".key").innerText()).includes("có khóa") && await row.locator(".key .good").count() === 1);
  }
  ok(await page.locator("#conflict").isHidden(), "no question where nothing is in the way");
  await pictures(page, "settings-edges");
  await page.click('.tabs a[href="/settings#security"]');
  equal(await page.inputValue("#mode-edges"), "keys");
  ok(await page.locator("#meaning-edges .state.bad").count() === 0, "nobody is locked out");
  await page.selectOption("#mode-api", "https");
  await page.fill("#api-certificate-field", "/nowhere/baixe.crt");
  await page.click("#save");
  await page.waitForSelector("#api-certificate-field.is-invalid");
  await says(page, "#api-certificate-field-problem", "không có tệp này");
  await page.screenshot({ path: shot("settings-security-wrong-file"), fullPage: true });
  await page.selectOption("#mode-api", "http");
  await page.selectOption("#mode-reads", "login");
  await page.click("#save");
  await says(page, "#toasts", "Đã áp dụng");
  const { security } = (await (await fetch(`${central.url}/api/access`)).json());
  equal([security.edges, security.reads], ["keys", "login"]);
  equal((await central.call("POST", "/api/edge/barrier/open", { edge_id: "edge-1", plate_id: "29A12345" })).code, "edge_key_required");
  await page.context().close();
});

test("how the other centrals are set stands beside each mode, and that they differ on every page", async () => {
  const [one, two] = mesh(2);
  two.settings.security = { admin: "open", edges: "keys" };
  await Promise.all([one.start(), two.start()]);
  const page = await openPage(`${one.url}/settings#security`);
  await live(page);
  await says(page, "#meaning-edges", "Khác ở central-2: Mỗi cổng một khóa");
  await says(page, "#meaning-reads", "Cũng vậy ở 1 máy chủ khác");
  await eventually("that they differ is said", async () => (await page.textContent("#notices")).includes("Bảo mật đặt khác nhau"));
  ok(await page.locator("#notices a[href='/settings#security']").count() > 0, "a press leads there");
  await pictures(page, "settings-modes-differ");
  const differs = async () => (await page.textContent("#notices")).includes("khác nhau");
  // What is set at one is said to the other at once; a HEARTBEAT leaves every 30 s where there is no news.
  await two.call("PUT", "/api/p2p/config", { security: { edges: "open" } });
  await says(page, "#meaning-edges", "Cũng vậy ở 1 máy chủ khác");
  await eventually("nothing differs", async () => !await differs());
  await two.call("PUT", "/api/p2p/config", { security: { edges: "keys" } });
  await eventually("they differ again", differs);
  await one.call("PUT", "/api/p2p/config", { security: { edges: "keys" } });
  await eventually("nothing differs since it was set here too", async () => !await differs());
  await two.kill();
  await says(page, "#meaning-edges", "Chưa biết ở central-2");
  await page.done();
});

test("a tenth central joins a mesh of nine by one pasted invitation", async () => {
  const nine = mesh(9);
  for (const central of nine) await central.start();
  const status = async (central) => central.call("GET", "/api/p2p/status");
  await eventually("the nine are linked", async () => (await Promise.all(nine.map(status))).every(({ connected_peers }) => connected_peers === 8), 60_000);
  const { central: tenth, code } = await locked("central-10");

  const inviting = await openPage(`${nine[3].url}/settings`);
  await started(inviting);
  await inviting.click("#invite");
  const invitation = await inviting.inputValue("#invitation-text");
  await inviting.done();

  // As a new user: the first code, the password, and the invitation.
  const page = await openPage(`${tenth.url}/login`, { expected: /401/ });
  await setPassword(page, code);
  await page.waitForURL(/\/settings$/);
  await started(page);
  await page.click("#join");
  await page.fill("#join-text", invitation);
  await page.click("dialog button:has-text('Vào mạng')");
  await says(page, "dialog .strangers", "central-9");
  equal(await page.locator("dialog .strangers li").count(), 8);
  await pictures(page, "settings-join-nine");
  const start = Date.now();
  await page.click("dialog button:has-text('Thêm tất cả')");
  await eventually("it is linked with all nine", async () => (await status(tenth)).connected_peers === 9, 5_000);
  console.log(`  linked with all nine ${Date.now() - start} ms after accepting the members`);
  await eventually("and the page says so", async () => await page.locator("#peers .how .link .state.good").count() === 9);
  for (const central of nine) await eventually(`${central.id} shows it`, async () => (await status(central)).connected_peers === 9);
  await pictures(page, "settings-joined-nine");
  await page.done();
});

test("the page of logging in comes to life once its central answers", async () => {
  const central = await new Central("central-1", { security: { admin: "password" } }).start();
  const page = await openPage(`${central.url}/gate`, { expected: /ERR_FAILED/ });
  await live(page);
  let asked = 0;
  await page.route("**/api/access", async (route) => {
    asked += 1;
    if (asked <= 2) await route.abort();
    else await route.continue();
  });
  await page.goto(`${central.url}/login`);
  await page.waitForSelector("#code:not([hidden])");
  ok(asked > 2, `asked again: ${asked}`);
  await page.done();
});
