// Logging in, the first password, a forgotten one, and the own one.

import { post, put } from "./lib/api.js";
import { at, put as say } from "./lib/dom.js";
import { mark, markProblems, unmark } from "./lib/forms.js";
import { loginForm, loginProblem, me, plain } from "./lib/login.js";
import { toast } from "./lib/notices.js";
import { t } from "./lib/texts.js";
import { startAccess } from "./login/access.js";
import { start } from "./shell.js";

/** As it is typed on the machine. */
const COMMAND = "parkmesh new-code";

const ASK_AGAIN_MS = 2000;

/** Who is logged in, asked until the central answers: it may be starting. Meanwhile the page says that it does not. */
async function answered() {
  for (;;) {
    const found = await me().catch(() => null);
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
  }
}

await start("login");
const who = await answered();

/** Where the work of each role is. */
const WORK = { operator: "/gate", shift_lead: "/history", administrator: "/settings" };

/** Back to the page that sent us, which is one of ours, else to one's work. */
function goOn({ role }) {
  const work = WORK[role];
  const back = new URLSearchParams(location.search).get("back") ?? work;
  location.assign(new URL(back, location.origin).origin === location.origin ? back : work);
}

function showParts() {
  const isIn = who.kind === "person";
  at("inside").hidden = !isIn;
  at("first").hidden = isIn || !who.needs_first_password;
  at("enter").hidden = isIn || who.needs_first_password;
  at("forgot").hidden = isIn || who.needs_first_password;
  at("code").hidden = isIn;
  say("new-code", COMMAND);
  if (isIn) say(document.querySelector("h1"), t("login.title_inside"));
  if (isIn) say("inside-title", t("login.inside", { name: who.name, role: t(`common.role_${who.role}`) }));
}

async function send(form, fields, again, work) {
  unmark(form);
  const [password, repeated] = again.map(at);
  if (password.value !== repeated.value) {
    mark(repeated, t("login.not_the_same"));
    repeated.focus();
    return;
  }
  try {
    await work();
  } catch (error) {
    const rest = markProblems(error.problems ?? [], (field) => (fields[field] ? at(fields[field]) : null));
    if ((error.problems ?? []).length === 0) rest.push(loginProblem(error));
    if (rest.length > 0) toast("bad", rest.join("; "), { about: "password" });
  }
}

at("enter-form").append(loginForm(goOn));
at("code-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const fields = { name: "code-name", password: "code-password", code: "code-field" };
  send(event.target, fields, ["code-password", "code-again"], async () => {
    const value = (id) => at(id).value;
    goOn(await post("/api/access/code", { code: value("code-field"), name: value("code-name"), password: plain(value("code-password")) }));
  });
});
at("own-form").addEventListener("submit", (event) => {
  event.preventDefault();
  send(event.target, { new: "own-new", old: "own-old" }, ["own-new", "own-again"], async () => {
    await put("/api/access/password", { old: plain(at("own-old").value), new: plain(at("own-new").value) });
    event.target.reset();
    toast("good", t("login.changed"), { about: "password" });
  });
});
at("leave").addEventListener("click", async () => {
  await post("/api/access/logout");
  location.reload();
});
showParts();
if (who.may_administer) await startAccess(who.name);
