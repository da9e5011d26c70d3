// Lịch sử: the latest visits.

import { get } from "./lib/api.js";
import { at, el, keyed, state } from "./lib/dom.js";
import { moment, money } from "./lib/format.js";
import { toast } from "./lib/notices.js";
import { t } from "./lib/texts.js";
import { start } from "./shell.js";

const ROWS = 50;

await start("history");
get(`/api/parking/history?limit=${ROWS}`).then(({ history }) => {
  at("nothing").hidden = history.length > 0;
  keyed(at("rows"), history, (row) => row.event_id, () => el("tr"), (element, row) => {
    const kind = row.status === "IN" ? "good" : row.status === "OUT" ? "quiet" : "wait";
    element.replaceChildren(
      el("td", { class: "plate" }, row.plate_view),
      el("td", {}, moment(row.entry_ms)),
      el("td", {}, row.exit_ms ? moment(row.exit_ms) : ""),
      el("td", { class: "number" }, row.exit_ms ? money(row.fee) : ""),
      el("td", {}, state(kind, t(`common.stay_${row.status}`))),
    );
  });
}, (error) => toast("bad", error.text));
