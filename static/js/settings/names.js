// What settings are called.

import { t } from "../lib/texts.js";

/** The name of a setting for people. */
export function pathName(path) {
  const [list, key, field] = path.split("/");
  if (key === undefined) return t(`settings.path_${path.replace(".", "_")}`);
  const what = t(`settings.path_${list}`, { id: key });
  return field ? `${what}: ${t(`settings.path_${field}`)}` : what;
}
