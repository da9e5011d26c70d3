// The daily backup: how it stands, and one at once.

import { post } from "../lib/api.js";
import { at, put, state as stateOf } from "../lib/dom.js";
import { moment_full, number } from "../lib/format.js";
import { toast } from "../lib/notices.js";
import { reasonText } from "../lib/reasons.js";
import { t } from "../lib/texts.js";

export function startBackup() {
  at("backup-now").addEventListener("click", async () => {
    try {
      await post("/api/backup");
      toast("good", t("settings.backup_begun"), { about: "backup" });
    } catch (error) {
      toast("bad", error.text, { about: "backup" });
    }
  });
}

/** As the feed tells it. */
export function showBackup({ central: { backup } }) {
  at("backup-now").hidden = !backup.dir;
  at("backup-now").disabled = backup.running;
  const seal = t(backup.encrypted ? "settings.backup_encrypted" : "settings.backup_clear");
  const last = backup.proven_ms ? `${t("settings.backup_last", { time: moment_full(backup.proven_ms), n: number(backup.kept) })}; ${seal}` : t("settings.backup_none");
  const [kind, text] = !backup.dir ? ["quiet", t("settings.backup_off")]
    : backup.running ? ["wait", t("settings.backup_running")]
      : backup.failed ?? backup.passphrase ? ["bad", reasonText(backup.failed ?? backup.passphrase)]
        : [backup.overdue || !backup.proven_ms ? "wait" : "good", last];
  at("backup-state").replaceChildren(stateOf(kind, text));
}
