// The settings page: the known user flow, wrong values, two people editing, tariff, subscriptions.

import { Central, eventually, live, mesh, ok, equal, openPage, says, test, textOf } from "./harness.mjs";

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
    await says(page, "#toasts", `Đã thêm peer "${other.id}"`);
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

test("wrong values are told at their fields and nothing is saved", async () => {
  const central = await new Central("central-1").addPeers(new Central("central-2")).start();
  const page = await openPage(`${central.url}/settings`, { expected: /400/ });
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
  await page.click('.tabs a[href="#site"]');
  await page.fill("#site-zone-field", "Asia/Nowhere");
  await page.click('.tabs a[href="#p2p"]');
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
  await page.fill("#own-ip-field", "127.0.0.77");
  await two.kill();
  await says(page, "#peers .how", "Mất kết nối");
  ok((await page.locator("#peers .reason").count()) > 0, "the reason is said");
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

test("the tariff is previewed by the rule of the server and saved for the site", async () => {
  const [one, two] = mesh(2);
  await Promise.all([one.start(), two.start()]);
  const page = await openPage(`${one.url}/settings#tariff`, { expected: /400/ });
  await says(page, "#preview-fee", "75.000 đ");
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
