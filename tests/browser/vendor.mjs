// Copies the browser files we vendor from their npm packages to static/vendor, with their licences:
//
//     npm ci && npm run vendor          writes them
//     node vendor.mjs --check           fails if static/vendor is not what this would write
//
// Of the icons only those the pages name are taken (`data-icon="gear"` in HTML, `icon("gear")` in a module), and of Bootstrap's
// rules only those whose classes all stand somewhere in the pages: the browser reads every rule before it paints anything.

import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const packages = join(here, "node_modules");
const pages = join(here, "../../static");
const target = join(pages, "vendor");

const text = (path) => readFile(path, "utf8");
/** A source map would be a file that is not there. */
const withoutMap = (content) => content.replace(/\n?\/[*/]# sourceMappingURL=.*$/m, "").trimEnd() + "\n";

async function sources(directory) {
  const found = [];
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (path === target) continue;
    if (entry.isDirectory()) found.push(...await sources(path));
    else if (/\.(html|js)$/.test(entry.name)) found.push(path);
  }
  return found;
}

const ours = (await Promise.all((await sources(pages)).map(text))).join("\n");

async function sprite() {
  const names = new Set(Array.from(ours.matchAll(/(?:data-icon=|\bicon\()"([a-z0-9-]+)"/g), ([, name]) => name));
  const all = await text(join(packages, "bootstrap-icons/bootstrap-icons.svg"));
  const symbols = [...names].sort().map((name) => {
    const symbol = all.match(new RegExp(`<symbol[^>]* id="${name}"[^>]*>[\\s\\S]*?</symbol>`));
    if (!symbol) throw new Error(`bootstrap-icons has no icon "${name}"`);
    return symbol[0].replace(/\s*\n\s*/g, "");
  });
  return `<svg xmlns="http://www.w3.org/2000/svg">\n${symbols.join("\n")}\n</svg>\n`;
}

/** Every word in a string of the pages: a class stands there, whatever puts it on. */
const words = new Set(Array.from(ours.matchAll(/"[^"\n]*"|`[^`]*`/g), ([string]) => string.match(/[\w-]+/g) ?? []).flat());
const isUsed = (selector) => (selector.replace(/:not\([^)]*\)/g, "").match(/\.[a-z][\w-]*/gi) ?? []).every((name) => words.has(name.slice(1)));

/** The rules of a style sheet that can apply to a page; of a list of selectors those that can. */
function applying(css) {
  let kept = "";
  for (let at = 0; at < css.length;) {
    const open = css.indexOf("{", at);
    if (open < 0) break;
    let end = open + 1;
    for (let depth = 1; depth > 0; end += 1) depth += { "{": 1, "}": -1 }[css[end]] ?? 0;
    const [head, body] = [css.slice(at, open), css.slice(open + 1, end - 1)];
    at = end;
    if (/^@(media|supports)/.test(head)) {
      const inside = applying(body);
      if (inside) kept += `${head}{${inside}}\n`;
    } else if (head.startsWith("@")) {
      kept += `${head}{${body}}\n`;
    } else {
      const selectors = head.split(/,(?![^(]*\))/).filter(isUsed);
      if (selectors.length > 0) kept += `${selectors.join(",")}{${body}}\n`;
    }
  }
  return kept;
}

/** What is left of Bootstrap, with its licence at the head and without movements nobody names. */
async function bootstrap() {
  const [, head, rules] = (await text(join(packages, "bootstrap/dist/css/bootstrap.min.css"))).match(/^(?:@charset "UTF-8";)?(\/\*![\s\S]*?\*\/)([\s\S]*)$/);
  const kept = applying(withoutMap(rules).trim());
  const moving = kept.replace(/^@keyframes ([\w-]+)\{.*\}\n/gm, (rule, name) => (kept.split(name).length > 2 ? rule : ""));
  return `@charset "UTF-8";${head}\n${moving}`;
}

const wanted = {
  "bootstrap/bootstrap.min.css": await bootstrap(),
  "bootstrap/LICENSE": await text(join(packages, "bootstrap/LICENSE")),
  "bootstrap-icons/sprite.svg": await sprite(),
  "bootstrap-icons/LICENSE": await text(join(packages, "bootstrap-icons/LICENSE")),
  "uplot/uPlot.esm.js": await text(join(packages, "uplot/dist/uPlot.esm.js")),
  "uplot/uPlot.min.css": await text(join(packages, "uplot/dist/uPlot.min.css")),
  "uplot/LICENSE": await text(join(packages, "uplot/LICENSE")),
};

const check = process.argv.includes("--check");
const stale = [];
for (const [name, content] of Object.entries(wanted)) {
  const path = join(target, name);
  const found = await text(path).catch(() => null);
  if (found === content) continue;
  stale.push(relative(pages, path));
  if (check) continue;
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
}
console.log(stale.length === 0 ? "static/vendor is up to date" : `${check ? "differs" : "written"}: ${stale.join(", ")}`);
process.exitCode = check && stale.length > 0 ? 1 : 0;
