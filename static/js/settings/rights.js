// Who may not change settings sees them, and what a stay would cost; nothing here takes anything from him.

import { at } from "../lib/dom.js";
import { me } from "../lib/login.js";

/** Whoever is nobody yet is asked to log in when he saves. */
const mayTry = ({ kind, may_administer: may, security }) => may || (kind === "nobody" && security.admin === "password");

export async function startRights() {
  const account = await me().catch(() => null);
  const looks = account !== null && !mayTry(account);
  document.body.classList.toggle("looks-only", looks);
  at("looks-only").hidden = !looks;
}
