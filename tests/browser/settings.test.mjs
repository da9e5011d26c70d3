// The settings page: the known user flow, wrong values, two people editing, tariff, subscriptions.

import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { Central, edit, eventually, live, mesh, ok, equal, openPage, root, says, settled, started, test, textOf } from "./harness.mjs";

/** Where a picture of a page goes, for people to look at. */
function shot(name) {
  const directory = join(root, "target/screenshots");
  mkdirSync(directory, { recursive: true });
  return join(directory, `${name}.png`);
}

async function addPeer(page, other) {
  await page.click("#add-peer");
  await page.fill("#new-id", other.id);
  await page.fill("#new-ip", other.ip);
  await page.fill("#new-port", "29000");
  await page.click("#new-peer button[type=submit]");
}

test("two centrals are linked through the page and an entry at one appears at the other", async () => {
  const [one, two] = [new Central("central-1"), new Central("central-2")];
  await Promise.all([one.start(), two.start()]);
  const pages = [];
  for (const [central, other] of [[one, two], [two, one]]) {
    const page = await openPage(`${central.url}/settings`);
    await page.waitForSelector("#no-peers:not([hidden])");
    await addPeer(page, other);
    await says(page, "#toasts", `Đã thêm máy chủ "${other.id}"`);
    await page.waitForSelector("#savebar:not([hidden])");
    await page.click("#save");
    await says(page, "#toasts", "Đã lưu cấu hình P2P. Đã áp dụng.");
    await page.waitForSelector("#savebar", { state: "hidden" });
    pages.push(page);
  }
  for (const page of pages) await says(page, "#peers .how", "Kết nối (");
  await says(pages[0], "#peers .sync", "đã đồng bộ");
  const dashboard = await openPage(`${two.url}/`);
  await live(dashboard);
  const start = Date.now();
  await one.enter("edge-1", "29A12345");
  const committed = Date.now();
  await says(dashboard, "#events", "29A-123.45");
  console.log(`  from the gate's answer to the page of the other central: ${Date.now() - committed} ms (the press took ${committed - start} ms)`);
  await says(dashboard, "#inside", "1");
  // Tests the connection, step by step.
  await pages[0].click("#peers .test");
  await says(pages[0], "#toasts", `Kết nối thành công đến "central-2"`);
  equal(await pages[0].locator(".steps li .state.good").count(), 5);
  for (const page of [...pages, dashboard]) await page.done();
});

test("a new central joins the mesh by an invitation that is pasted on its page", async () => {
  const centrals = mesh(2);
  for (const central of centrals) await central.start();
  const fresh = await new Central("central-3").start();
  const inviting = await openPage(`${centrals[0].url}/settings`);
  await live(inviting);
  // Pinned at first contact, until a person has compared.
  await says(inviting, "#peers .trust", "chưa đối chiếu vân tay");
  const fingerprint = (await centrals[1].call("GET", "/api/p2p/status")).fingerprint;
  await inviting.click("#peers .trust button:has-text('Đối chiếu vân tay')");
  await says(inviting, "dialog .fingerprint", fingerprint);
  await inviting.screenshot({ path: shot("settings-compare-vi") });
  await inviting.click("dialog button:has-text('Giống hệt')");
  await says(inviting, "#peers .trust", "Đã đối chiếu vân tay");
  await inviting.click("#invite");
  const text = await inviting.inputValue("#invitation-text");
  ok(await inviting.locator("dialog .qr svg path").count() === 2, "the code is drawn");
  await inviting.screenshot({ path: shot("settings-invite-vi") });
  await inviting.keyboard.press("Escape");

  const page = await openPage(`${fresh.url}/settings`);
  await started(page);
  await page.click("#join");
  await page.fill("#join-text", text);
  const start = Date.now();
  await page.click("dialog button:has-text('Vào mạng')");
  await says(page, "dialog .strangers", "central-2");
  await page.screenshot({ path: shot("settings-join-vi") });
  await page.click("dialog button:has-text('Thêm tất cả')");
  await eventually("it is linked with both", async () => (await fresh.call("GET", "/api/p2p/status")).connected_peers === 2);
  console.log(`  pasted, taken over and linked in ${Date.now() - start} ms`);
  await says(page, "#peers", "Đã đối chiếu vân tay");
  await settled(page);
  await page.screenshot({ path: shot("settings-joined-vi"), fullPage: true });

  // A stranger waits, and is turned away.
  const stranger = await new Central("central-9").addPeers(centrals[0]).start();
  await says(inviting, "#pending", "central-9");
  await settled(inviting);
  await inviting.screenshot({ path: shot("settings-pending-vi"), fullPage: true });
  const english = await openPage(`${centrals[0].url}/settings`, { language: "en", width: 360, height: 740 });
  await live(english);
  await says(english, "#pending", "central-9");
  await settled(english);
  await english.screenshot({ path: shot("settings-pending-en-360"), fullPage: true });
  await english.done();
  await inviting.click("#pending button:has-text('Từ chối')");
  await inviting.click("dialog button:has-text('Từ chối')");
  await inviting.waitForSelector("#pending-part", { state: "hidden" });
  ok(!(await stranger.call("GET", "/api/p2p/status")).peers[0].connected, "it is not linked");

  // Thrown out of the mesh at one central.
  await inviting.locator("#peers tr", { hasText: "Đã đối chiếu" }).first().locator(".more-actions summary").click();
  await inviting.click("#peers button:visible:has-text('Loại khỏi mạng')");
  await inviting.click("dialog button:has-text('Loại khỏi mạng')");
  await inviting.waitForSelector("#expel-reason.is-invalid");
  await inviting.fill("#expel-reason", "Máy bị lấy cắp");
  await inviting.screenshot({ path: shot("settings-expel-vi") });
  await inviting.click("dialog button:has-text('Loại khỏi mạng')");
  await says(inviting, "#peers .trust", "Đã bị loại khỏi mạng");
  await says(inviting, "#peers .trust", "Lý do: Máy bị lấy cắp");
  await settled(inviting);
  await inviting.screenshot({ path: shot("settings-expelled-vi"), fullPage: true });
  for (const open of [inviting, page]) await open.done();
});

test("wrong values are told at their fields and nothing is saved", async () => {
  const central = await new Central("central-1").addPeers(new Central("central-2")).start();
  const page = await openPage(`${central.url}/settings`, { expected: /400/ });
  await page.waitForSelector("#peers .drop", { state: "attached" });
  ok(await page.locator("#own-p2p-field").getAttribute("readonly") !== null, "it is for reading");
  ok(await page.locator("#peers .drop").isHidden(), "nothing is removed by a slip");
  await edit(page, "#own-p2p-field");
  await edit(page, "#peers");
  await page.fill("#own-p2p-field", "99999");
  await page.fill("#peer-central-2-ip", "not an address");
  await page.click("#save");
  await page.waitForSelector("#own-p2p-field.is-invalid");
  await page.waitForSelector("#peer-central-2-ip.is-invalid");
  ok((await textOf(page, "#own-p2p-field-problem")).length > 5, "a sentence at the field");
  ok((await page.getAttribute("#own-p2p-field", "aria-describedby")).includes("own-p2p-field-problem"), "the field names its problem");
  equal((await central.call("GET", "/api/p2p/config")).config.this_central.p2p_port, 29000);
  // What is in another part is shown there.
  await page.fill("#own-p2p-field", "29000");
  await page.fill("#peer-central-2-ip", "127.0.0.9");
  await page.click('.tabs a[href="/settings#site"]');
  await edit(page, "#site-zone-field");
  await page.fill("#site-zone-field", "Asia/Nowhere");
  await page.click('.tabs a[href="/settings#p2p"]');
  await page.click("#save");
  await page.waitForSelector("#site-zone-field.is-invalid:visible");
  await page.click("#undo");
  await page.waitForSelector("#savebar", { state: "hidden" });
  equal(await page.inputValue("#site-zone-field"), "Asia/Ho_Chi_Minh");
  await page.done();
});

test("a peer that goes away and comes back is seen without a reload", async () => {
  const [one, two] = mesh(2);
  await Promise.all([one.start(), two.start()]);
  const page = await openPage(`${one.url}/settings`);
  await says(page, "#peers .how", "Kết nối (");
  await edit(page, "#own-ip-field");
  await page.fill("#own-ip-field", "127.0.0.77");
  await two.kill();
  await says(page, "#peers .how", "Mất kết nối");
  await says(page, "#peers .reason", "không có máy chủ nào đang chạy");
  equal(await page.inputValue("#own-ip-field"), "127.0.0.77", "what was typed stays");
  await two.start();
  await says(page, "#peers .how", "Kết nối (");
  await page.click("#undo");
  await page.waitForSelector("#savebar", { state: "hidden" });
  await page.done();
});

test("two people editing see the difference and both changes can be kept", async () => {
  const central = await new Central("central-1", { site: { name: "Bãi cũ" } }).start();
  const [first, second] = [await openPage(`${central.url}/settings#site`), await openPage(`${central.url}/settings#site`, { expected: /409/ })];
  await first.waitForSelector("#site-name-field:visible");
  for (const page of [first, second]) await edit(page, "#site-name-field");
  await second.fill("#site-name-field", "Bãi của tôi");
  await second.click("#add-edge");
  await second.fill("#edges tr:last-child [data-field=id]", "edge-9");
  await first.fill("#site-name-field", "Bãi của họ");
  await first.click("#save");
  await says(first, "#toasts", "Đã áp dụng");
  await second.waitForSelector("#conflict:not([hidden])");
  await says(second, "#differences", "Bãi của họ");
  await says(second, "#differences", "Bãi của tôi");
  equal(await second.inputValue("#site-name-field"), "Bãi của tôi", "what was typed stays");
  await second.click("#save");
  await says(second, "#toasts", "Người khác vừa lưu cài đặt");
  await second.click("#keep-mine");
  await second.click("#save");
  await says(second, "#toasts", "Đã áp dụng");
  const { config } = await central.call("GET", "/api/p2p/config");
  equal([config.site.name, config.edges.map((edge) => edge.id)], ["Bãi của tôi", ["edge-9"]]);
  // Who changes nothing sees the new values at once.
  await eventually("the first page follows", async () => (await first.inputValue("#site-name-field")) === "Bãi của tôi");
  await first.done();
  await second.done();
});

test("what the site and its gates are called is said at one central and read at the other", async () => {
  const [one, two] = mesh(2, { edges: [{ id: "edge-1", name: "Cổng trước" }] });
  // Told at the start, by its file.
  two.settings.edges[0].name = "Cổng sau, đường Lê Lợi";
  await Promise.all([one.start(), two.start()]);
  await two.enter("edge-1", "29A12345");
  const wall = await openPage(`${one.url}/`);
  await live(wall);
  await says(wall, "#gates", "Cổng sau, đường Lê Lợi");
  await says(wall, "#events", "Cổng sau, đường Lê Lợi");
  const page = await openPage(`${two.url}/settings#site`);
  await page.waitForSelector("#site:not([hidden])");
  await edit(page, "#site-name-field");
  await page.fill("#site-name-field", "Bãi xe Bến Thành");
  await page.click("#save");
  await says(page, "#toasts", "Đã lưu");
  await says(wall, ".who", "Bãi xe Bến Thành");
  // The page of settings there shows it, and saving something else there does not say another name again.
  const other = await openPage(`${one.url}/settings#site`);
  await eventually("shown at the other", async () => (await other.inputValue("#site-name-field")) === "Bãi xe Bến Thành");
  await other.done();
  const table = await (await fetch(`${one.url}/api/parking/history.csv`)).text();
  ok(table.includes("Cổng sau, đường Lê Lợi") && !table.includes("central-2/edge-1"), table);
  const story = await openPage(`${one.url}/history`);
  await live(story);
  await says(story, "#rows .in", "Cổng sau, đường Lê Lợi");
  await story.click("#rows .open");
  await says(story, "#story .facts", "Cổng sau, đường Lê Lợi");
  ok(!(await story.innerText("#story")).includes("edge-1"), await story.innerText("#story"));
  await story.done();
  await page.done();
  await wall.done();
});

test("what is set is read whole however long it is", async () => {
  const name = "Bãi xe Trung tâm thương mại Nguyễn Huệ – tầng hầm B1, B2, lối vào đường Trần Hưng Đạo";
  const central = await new Central("central-1", { site: { name }, edges: [{ id: "edge-1", name: "Cổng nội bộ nhân viên và nhà cung cấp phía sau siêu thị" }] }).start();
  const page = await openPage(`${central.url}/settings#site`, { width: 360, height: 740 });
  await page.waitForSelector("#site:not([hidden])");
  await says(page, "#site", name);
  await says(page, "#edges", "Cổng nội bộ nhân viên và nhà cung cấp phía sau siêu thị");
  const cut = await page.evaluate(() => [...document.querySelectorAll("#site .whole")].filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.textContent));
  equal(cut, []);
  // What is typed is typed in the field, and the address leads to where its tab is seen.
  ok(await page.locator('.tabs a[href="/settings#site"]').evaluate((tab) => tab.getBoundingClientRect().top >= document.querySelector(".topbar").getBoundingClientRect().bottom), "the tabs are seen");
  await edit(page, "#site-name-field");
  await page.fill("#site-name-field", "Bãi xe");
  ok(await page.locator("#site-name-field + .whole").isHidden(), "one of both");
  await page.done();
});

/** Waits until the tariff of the central is there to be read, and asks to change it. */
async function editTariff(page) {
  await page.waitForSelector("#tariff-form.reading #rate--fee_per_hour");
  await edit(page, "#rates");
}

test("the tariff is previewed by the rule of the server and saved for the site", async () => {
  const [one, two] = mesh(2);
  await Promise.all([one.start(), two.start()]);
  const page = await openPage(`${one.url}/settings#tariff`, { expected: /400/ });
  await says(page, "#preview-fee", "75.000 đ");
  ok(await page.locator("#rate--fee_per_hour").isDisabled() && await page.locator("#save-tariff").isHidden(), "read first");
  // What is read is an amount with its unit, not two things.
  const gaps = await page.locator("#tariff-form fieldset .input-group-text:visible").evaluateAll((units) => units.map((unit) => {
    const input = unit.previousElementSibling;
    const pen = Object.assign(document.createElement("canvas").getContext("2d"), { font: getComputedStyle(input).font });
    return unit.getBoundingClientRect().left + parseFloat(getComputedStyle(unit).paddingLeft) - input.getBoundingClientRect().left - pen.measureText(input.value).width;
  }));
  ok(gaps.length > 2 && gaps.every((gap) => gap > 0 && gap < 16), `px between an amount and its unit: ${gaps}`);
  await editTariff(page);
  await page.fill("#rate--fee_per_hour", "10000");
  await says(page, "#preview-fee", "30.000 đ");
  await page.fill("#rate--fee_per_hour", "-1");
  await page.click("#save-tariff");
  await page.waitForSelector("#rate--fee_per_hour.is-invalid");
  await page.fill("#rate--fee_per_hour", "20000");
  await page.click("#save-tariff");
  await says(page, "#toasts", "Đã cập nhật cấu hình phí gửi xe");
  await eventually("the other central has it", async () => (await two.call("GET", "/api/parking/fees")).fees.fee_per_hour === 20000);
  await page.done();
});

test("amounts of the tariff are written as people write them and slips are asked about", async () => {
  const central = await new Central("central-1").start();
  const fees = async () => (await central.call("GET", "/api/parking/fees")).fees;
  const page = await openPage(`${central.url}/settings#tariff`, { expected: /400/ });
  await page.waitForSelector("#rate--fee_per_hour");
  equal(await page.inputValue("#rate--fee_per_hour"), "25.000", "shown as people write it");
  await editTariff(page);
  await page.fill("#rate--fee_per_hour", "20.000");
  await says(page, "#preview-fee", "60.000 đ");
  await page.click("#save-tariff");
  await says(page, "#toasts", "Đã cập nhật cấu hình phí gửi xe");
  equal((await fees()).fee_per_hour, 20000);
  await editTariff(page);
  await page.fill("#rate--fee_overnight", "30 nghìn");
  await page.locator("#rate--fee_overnight").blur();
  equal(await page.inputValue("#rate--fee_overnight"), "30.000");
  // What nobody meant: asked, and nothing is saved where the answer is no.
  await page.fill("#rate--fee_overnight", "0");
  for (const [typed, shown] of [["25", "20.000 đ → 25 đ"], ["3.000", "20.000 đ → 3.000 đ"]]) {
    await page.fill("#rate--fee_per_hour", typed);
    await page.click("#save-tariff");
    await says(page, "dialog", shown);
    await page.click("dialog .btn-outline-secondary");
    equal((await fees()).fee_per_hour, 20000, `after "${typed}"`);
  }
  await page.click("#save-tariff");
  await page.click("dialog .btn-danger");
  await eventually("saved after a yes", async () => (await fees()).fee_per_hour === 3000);
  await editTariff(page);
  await page.fill("#rate--fee_per_hour", "25.00");
  await page.click("#save-tariff");
  await says(page, "#rate--fee_per_hour-problem", "ví dụ 25.000");
  // A type is named as people name it.
  await page.fill("#rate--fee_per_hour", "3.000");
  await page.fill("#new-type", "xe máy");
  await page.click("#add-type");
  await page.fill("#rate-moto-fee_per_hour", "2,000");
  await page.click("#save-tariff");
  await eventually("a price for motorbikes", async () => (await fees()).types?.moto?.fee_per_hour === 2000);
  await page.done();
});

test("a price list is entered, tried, announced ahead, changed and withdrawn", async () => {
  const central = await new Central("central-1").start();
  // What is announced has to lie ahead, in whatever year this runs.
  const next = new Date().getFullYear() + 1;
  const fees = () => central.call("GET", "/api/parking/fees");
  const page = await openPage(`${central.url}/settings#tariff`, { expected: /400/ });
  const picture = async (name) => {
    mkdirSync(join(root, "target/screenshots"), { recursive: true });
    for (const [kind, width, height] of [["phone", 360, 740], ["wide", 1366, 900]]) {
      await page.setViewportSize({ width, height });
      await settled(page);
      await page.screenshot({ path: join(root, `target/screenshots/${name}-${kind}.png`), fullPage: true });
    }
  };
  // By day and night, as a city sets it.
  await says(page, "#preview-fee", "75.000 đ");
  await editTariff(page);
  await page.selectOption("#rate--how", "per_visit");
  await page.fill("#rate--plan-day", "6.000");
  await page.fill("#rate--plan-night", "9 nghìn");
  await page.fill("#preview-exit", "22h");
  await says(page, "#preview-fee", "15.000 đ");
  await says(page, "#preview-lines", "Ban ngày · 1 × 6.000 đ");
  await page.selectOption("#rate--plan-mixed", "longer");
  await says(page, "#preview-fee", "6.000 đ");
  // Motorbikes in steps.
  await page.fill("#new-type", "Xe máy");
  await page.click("#add-type");
  await page.selectOption("#rate-moto-how", "steps");
  await page.fill("#rate-moto-plan-first_price", "3000");
  await page.click("[data-type=moto] .step-rows > .btn");
  await page.locator("[data-type=moto] .step [data-field$='.price']").fill("2.000");
  await page.selectOption("#preview-type", "moto");
  await page.fill("#preview-exit", "1130");
  await says(page, "#preview-fee", "9.000 đ");
  await says(page, "#preview-lines", "Nấc tiếp theo · 3 × 2.000 đ");
  // A list for Tết, and a lost card.
  await page.click("#add-list");
  await page.fill(".day-list [data-field=name]", "Tết");
  await page.fill(".day-list [data-field=dates]", `6/2/${next}, 07/02/${next}`);
  await page.selectOption(".day-list .how", "monthly");
  await page.fill(".day-list [data-field='plan.per_month']", "50.000");
  await page.fill("#lost-card", "20.000");
  await page.selectOption("#preview-type", "");
  await page.fill("#preview-date", `${next}-02-07`);
  await page.press("#preview-date", "Tab");
  await page.click("#preview-lost");
  await says(page, "#preview-fee", "70.000 đ");
  await says(page, "#preview-lines", "Mất thẻ");
  await picture("tariff-plan");
  // Announced: what holds stays.
  await page.selectOption("#when", "later");
  await page.fill("#valid-from", `${next}-01-01T00:00`);
  await page.click("#save-tariff");
  await says(page, "#toasts", "Đã hẹn");
  await says(page, "#announced", `Từ 01/01/${next} 00:00`);
  equal(await page.inputValue("#rate--how"), "hourly", "what holds now is shown again");
  const held = await fees();
  equal([held.fees.fee_per_hour, held.fees.plan], [25_000, undefined]);
  const [{ fees: ahead }] = held.announced;
  equal(ahead.plan, { kind: "per_visit", day_from: "06:00", night_from: "18:00", day: 6000, night: 9000, mixed: "longer" });
  equal(ahead.types.moto.plan, { kind: "steps", first_minutes: 120, first_price: 3000, steps: [{ minutes: 60, price: 2000 }] });
  equal([ahead.days[0].name, ahead.days[0].dates, ahead.lost_card], ["Tết", [`${next}-02-06`, `${next}-02-07`], 20_000]);
  // What is tried for a time after that is counted by it; with changes, by these, and it says so.
  await page.fill("#preview-date", `${next}-02-07`);
  await page.press("#preview-date", "Tab");
  await says(page, "#preview-note", `Tính theo biểu phí hẹn từ 01/01/${next} 00:00`);
  await says(page, "#preview-fee", "70.000 đ");
  await picture("tariff-announced");
  await editTariff(page);
  await page.fill("#lost-card", "30.000");
  await says(page, "#preview-note", `Tính theo biểu phí ở trên; khi xe ra từ 01/01/${next} 00:00`);
  await page.click("#undo-tariff");
  await page.fill("#preview-date", `${next - 1}-12-31`);
  await page.press("#preview-date", "Tab");
  await says(page, "#preview-fee", "100.000 đ");
  await page.waitForSelector("#preview-note", { state: "hidden" });
  // Looked at again, wrong at its field, put right.
  await page.click("#announced .btn-outline-secondary");
  equal(await page.inputValue("#rate--plan-night"), "9.000");
  await page.fill("#rate--plan-day_from", "19:00");
  await page.fill(".day-list [data-field=dates]", "hôm nọ");
  await page.click("#save-tariff");
  await page.waitForSelector(".day-list [data-field=dates].is-invalid");
  await page.fill(".day-list [data-field=dates]", `06/02/${next}`);
  await page.fill("#rate--plan-day_from", "06:00");
  await page.fill("#rate--plan-night", "10.000");
  await page.click("#save-tariff");
  await eventually("it replaced the one for that moment", async () => {
    const { announced } = await fees();
    return announced.length === 1 && announced[0].fees.plan.night === 10_000 && announced[0].fees.days[0].dates.length === 1;
  });
  await page.waitForSelector("#tariff-form.reading");
  await page.click("#announced .btn-outline-danger");
  await page.click("dialog .btn-danger");
  await eventually("withdrawn", async () => (await fees()).announced.length === 0);
  await page.waitForSelector("#announced", { state: "hidden" });
  await page.done();
});

test("a subscription is added, corrected at its field, and removed", async () => {
  const central = await new Central("central-1").start();
  const page = await openPage(`${central.url}/settings#subscriptions`, { expected: /400/ });
  await page.waitForSelector("#no-subscriptions:not([hidden])");
  await page.click("#add-subscription");
  await page.fill("#subscription-plate_number", "x");
  await page.fill("#subscription-owner_name", "Nguyễn Văn An");
  await page.click("dialog button[type=submit]");
  await page.waitForSelector("#subscription-plate_number.is-invalid");
  await page.fill("#subscription-plate_number", "29A-123.45");
  await page.click("dialog button[type=submit]");
  await says(page, "#subscription-rows", "Nguyễn Văn An");
  equal((await central.call("GET", "/api/subscriptions")).subscriptions.length, 1);
  await page.click("#subscription-rows .btn-outline-danger");
  await page.click("dialog .btn-danger");
  await page.waitForSelector("#no-subscriptions:not([hidden])");
  await page.done();
});

test("what a new central lacks is listed and gone once it is there", async () => {
  const [central, other] = mesh(2);
  central.settings.peer_centrals = [];
  central.settings.site = { name: "" };
  await Promise.all([central.start(), other.start()]);
  const page = await openPage(`${central.url}/settings`);
  await live(page);
  await page.waitForSelector("#checklist:not([hidden])");
  const open = () => page.locator("#checklist-steps .state.wait").count();
  await eventually("five are open", async () => await open() === 5);
  await settled(page);
  ok(await page.locator("#loading").isHidden(), "it was loaded at the first attempt");
  await page.screenshot({ path: shot("settings-checklist-vi"), fullPage: true });
  await page.setViewportSize({ width: 360, height: 740 });
  await page.screenshot({ path: shot("settings-checklist-vi-360") });
  await page.setViewportSize({ width: 1366, height: 900 });
  await page.click('#checklist-steps a[href="#site"]');
  await edit(page, "#site-name-field");
  await page.fill("#site-name-field", "Bãi xe A");
  await page.click("#add-edge");
  await page.fill("#edges tr:last-child [data-field=id]", "edge-1");
  await page.click("#save");
  await says(page, "#toasts", "Đã áp dụng");
  await eventually("two are done", async () => await open() === 3);
  ok(await page.locator("#site-name-field").getAttribute("readonly") !== null, "for reading again");
  const { fees } = await central.call("GET", "/api/parking/fees");
  const saved = await central.call("PUT", "/api/parking/fees", { fees: { ...fees, fee_per_hour: 20000 } });
  equal(saved.status, 200, JSON.stringify(saved));
  equal((await central.call("PUT", "/api/p2p/config", { backup: { dir: join(central.directory, "backups") } })).status, 200);
  await eventually("a tariff and a place for backups", async () => await open() === 1);
  await page.click('.tabs a[href="/settings#p2p"]');
  await addPeer(page, other);
  await page.click("#save");
  await page.waitForSelector("#checklist", { state: "hidden" });
  await page.done();
});

test("an invoice program is set on the page, is told the next exit, and what it answers is said; where it is away that is said too", async () => {
  const central = await new Central("central-1").start();
  const told = [];
  const program = createServer((request, answer) => {
    let body = "";
    request.on("data", (part) => { body += part; });
    request.on("end", () => {
      told.push({ token: request.headers.authorization, ...JSON.parse(body) });
      answer.setHeader("Content-Type", "application/json");
      answer.end(JSON.stringify({ number: `HD-${told.length}` }));
    });
  });
  await new Promise((resolve) => program.listen(0, "127.0.0.1", resolve));
  const page = await openPage(`${central.url}/settings#site`, { expected: /400/ });
  await live(page);
  await started(page);
  await says(page, "#invoices-state", "Không báo cho chương trình hóa đơn nào");
  await edit(page, "#invoices-url");
  const today = (await central.call("GET", "/api/stats")).day;
  await page.fill("#invoices-url", "ftp://hoa-don");
  await page.fill("#invoices-from", today);
  await page.click("#save-invoices");
  await page.waitForSelector("#invoices-url.is-invalid");
  await page.fill("#invoices-url", `http://127.0.0.1:${program.address().port}/hd`);
  await page.fill("#invoices-token", "bi-mat");
  await page.fill("#invoices-after_seconds", "0");
  await page.click("#save-invoices");
  await says(page, "#toasts", "Đã lưu phần hóa đơn.");
  await says(page, "#invoices-state", "Mọi lượt ra đã được báo.");
  equal(await page.inputValue("#invoices-token"), "", "what is secret is not shown again");
  const out = (plate) => central.call("POST", "/api/edge/barrier/open", { edge_id: "edge-2", plate_id: plate, direction: "EXIT", force: true, fee: 20_000 });
  await out("29A12345");
  await eventually("the program is told", async () => told.length > 0);
  equal([told[0].kind, told[0].amount, told[0].plate_id, told[0].token], ["exit", 20_000, "29A12345", "Bearer bi-mat"]);
  await eventually("its number is at the stay", async () => (await central.call("GET", "/api/parking/history")).history[0].invoices?.[0].number === "HD-1");
  program.closeAllConnections();
  await new Promise((resolve) => program.close(resolve));
  await out("29A12346");
  await says(page, "#invoices-state", "1 lượt ra đang chờ");
  await says(page, "#invoices-state", "không kết nối được");
  ok(!/connect|refused|os error/i.test(await textOf(page, "#invoices-state")), await textOf(page, "#invoices-state"));
  await page.done();
});

test("a daily backup is set on the page, made at once, and shown as proven", async () => {
  const central = await new Central("central-1").start();
  const page = await openPage(`${central.url}/settings#site`, { expected: /400/ });
  await live(page);
  await says(page, "#backup-state", "Chưa đặt sao lưu");
  ok(await page.locator("#backup-now").isHidden(), "nothing to begin yet");
  equal(await page.innerText("#backup-dir-field + .whole"), "–", "what is not set, read");
  await edit(page, "#backup-dir-field");
  equal(await page.getAttribute("#backup-dir-field", "placeholder"), "ví dụ: /var/backups/parkmesh");
  await page.fill("#backup-dir-field", "sao-luu");
  await page.click("#save");
  await says(page, "#site", "phải là đường dẫn đầy đủ");
  await says(page, "#toasts", "Không thể lưu cài đặt");
  await page.fill("#backup-dir-field", join(central.directory, "backups"));
  await page.fill("#backup-keep-field", "2");
  await page.click("#save");
  await says(page, "#toasts", "Đã lưu cài đặt. Đã áp dụng. (sao lưu)");
  equal(await page.locator("#toasts .bad").count(), 0, "failures beside the success");
  // One was due, and there was none.
  await says(page, "#backup-state", "đang giữ 1 bản");
  // Another one of the same day takes its place.
  const proven = async () => (await central.call("GET", "/api/status")).central.backup.proven_ms;
  const first = await proven();
  await page.click("#backup-now");
  await eventually("a newer backup", async () => (await proven()) > first);
  await says(page, "#backup-state", "đang giữ 1 bản; không mã hóa");
  // Named before it is there: told at once, and made once it is.
  const secret = join(central.directory, "mat-khau");
  await edit(page, "#backup-passphrase-field");
  await page.fill("#backup-passphrase-field", secret);
  await page.click("#save");
  await says(page, "#backup-state", "không đọc được mật khẩu sao lưu");
  writeFileSync(secret, "một câu thật dài", { mode: 0o600 });
  await page.click("#backup-now");
  await says(page, "#backup-state", "đang giữ 1 bản; đã mã hóa");
  await page.screenshot({ path: shot("settings-backup-vi") });
  await page.done();
});
