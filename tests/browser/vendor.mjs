// Copies the browser files we vendor from their npm packages to static/vendor, with their licences:
//
//     npm ci && npm run vendor          writes them
//     node vendor.mjs --check           fails if static/vendor is not what this would write
//
// Of the icons only those the pages name are taken (`data-icon="gear"` in HTML, `icon("gear")` in a module).

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

async function sprite() {
  const names = new Set();
  for (const path of await sources(pages)) {
    for (const [, name] of (await text(path)).matchAll(/(?:data-icon=|\bicon\()"([a-z0-9-]+)"/g)) names.add(name);
  }
  const all = await text(join(packages, "bootstrap-icons/bootstrap-icons.svg"));
  const symbols = [...names].sort().map((name) => {
    const symbol = all.match(new RegExp(`<symbol[^>]* id="${name}"[^>]*>[\\s\\S]*?</symbol>`));
    if (!symbol) throw new Error(`bootstrap-icons has no icon "${name}"`);
    return symbol[0].replace(/\s*\n\s*/g, "");
  });
  return `<svg xmlns="http://www.w3.org/2000/svg">\n${symbols.join("\n")}\n</svg>\n`;
}

const wanted = {
  "bootstrap/bootstrap.min.css": withoutMap(await text(join(packages, "bootstrap/dist/css/bootstrap.min.css"))),
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
