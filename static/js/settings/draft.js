// What a person is changing, beside what is saved. Pure: no element is touched here.
//
// A setting is named by a path: `this_central.ip`, `site.name`, `peer_centrals/central-2/ip`, `edges/edge-1/name`. Members of
// lists are named by their id, so that two people who edit different peers do not get in each other's way.

const LISTS = ["peer_centrals", "edges"];
const OBJECTS = { this_central: ["id", "ip", "p2p_port", "api_port"], site: ["name", "time_zone"], backup: ["dir", "at", "keep", "passphrase_file"], vietqr: ["bank", "account", "holder"], security: ["p2p", "admin", "edges", "reads", "people", "discovery", "api", "api_certificate_file", "api_key_file"] };
const MEMBER_FIELDS = { peer_centrals: ["id", "ip", "p2p_port"], edges: ["id", "name", "direction"] };

const copy = (value) => JSON.parse(JSON.stringify(value));
const same = (a, b) => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);

/** The settings by path; a member of a list stands as `list/id` too, so that a missing one is seen. */
export function flatten(config) {
  const paths = new Map();
  for (const [object, fields] of Object.entries(OBJECTS)) {
    for (const field of fields) paths.set(`${object}.${field}`, config[object][field]);
  }
  for (const list of LISTS) {
    for (const member of config[list]) {
      const name = `${list}/${member.key ?? member.id}`;
      paths.set(name, true);
      for (const field of MEMBER_FIELDS[list]) paths.set(`${name}/${field}`, member[field]);
    }
  }
  return paths;
}

/** The paths at which two settings differ: `[{path, a, b}]`. */
export function differences(a, b) {
  const [left, right] = [flatten(a), flatten(b)];
  const paths = new Set([...left.keys(), ...right.keys()]);
  const found = [...paths].filter((path) => !same(left.get(path), right.get(path)));
  // A member that is there in one only is told once, not field by field.
  const whole = found.filter((path) => !path.endsWith("/") && path.split("/").length === 2);
  return found
    .filter((path) => !whole.some((member) => path !== member && path.startsWith(`${member}/`)))
    .map((path) => ({ path, a: left.get(path), b: right.get(path) }));
}

/** An editing of settings: `base` as they were read at `version`, `mine` as they should be. */
export class Draft {
  constructor(config, version) {
    this.base = withKeys(config);
    this.mine = copy(this.base);
    this.version = version;
  }

  get changes() {
    return differences(this.base, this.mine);
  }

  get isDirty() {
    return this.changes.length > 0;
  }

  /** Both changed the same setting since `base`: `[{path, a: mine, b: theirs}]`. */
  conflicts(theirs) {
    const saved = withKeys(theirs);
    const changedByThem = new Set(differences(this.base, saved).map(({ path }) => path));
    return differences(this.mine, saved).filter(({ path }) => changedByThem.has(path) || changedByThem.has(path.split("/").slice(0, 2).join("/")));
  }

  /** Keeps what was changed here, and takes everything else as it was saved meanwhile. */
  rebase(theirs, version) {
    const changes = this.changes;
    const old = this.mine;
    this.base = withKeys(theirs);
    this.mine = copy(this.base);
    this.version = version;
    for (const { path } of changes) {
      const [list, key, field] = path.split("/");
      if (key === undefined) {
        const [object, name] = path.split(".");
        this.mine[object][name] = old[object][name];
        continue;
      }
      const was = old[list].find((member) => member.key === key);
      const at = this.mine[list].findIndex((member) => member.key === key);
      if (!was && at >= 0) this.mine[list].splice(at, 1);
      else if (was && at < 0) this.mine[list].push(copy(was));
      else if (was && field) this.mine[list][at][field] = was[field];
    }
  }

  /** The body of the save. */
  toJson() {
    const lists = Object.fromEntries(LISTS.map((list) => [list, this.mine[list].map(({ key, ...member }) => member)]));
    const objects = Object.entries(OBJECTS).map(([object, fields]) => [object, Object.fromEntries(fields.map((field) => [field, this.mine[object][field]]))]);
    const body = { ...Object.fromEntries(objects), ...lists, version: this.version };
    // Who sends a name says it to all centrals: not one that was only read, and may be another by now.
    if (same(this.mine.site.name, this.base.site.name)) delete body.site.name;
    return body;
  }
}

/** Members keep the id they were read with as their key, so that a changed id is a change and not another member. */
function withKeys(config) {
  const result = copy(Object.fromEntries([...Object.keys(OBJECTS), ...LISTS].map((name) => [name, config[name]])));
  for (const list of LISTS) {
    for (const member of result[list]) member.key ??= member.id;
  }
  return result;
}
