// The day as a curve: entries and exits per half hour, drawn by uPlot.

import uPlot from "../../vendor/uplot/uPlot.esm.js";
import { el } from "../lib/dom.js";
import { number, siteZone, timeOfDay } from "../lib/format.js";
import { centralNow } from "../lib/feed.js";
import { t } from "../lib/texts.js";

/** As high as its place is. */
const sizeOf = (parent) => ({ width: parent.clientWidth, height: parent.clientHeight });
const dark = matchMedia("(prefers-color-scheme: dark)");

// Its style sheet is loaded here: the first paint does not wait for it.
await new Promise((loaded) => {
  const href = new URL("../../vendor/uplot/uPlot.min.css", import.meta.url).href;
  document.head.append(el("link", { rel: "stylesheet", href, onload: loaded, onerror: loaded }));
});

let plot = null;
let shown = null;

/** `course`: as in the feed. */
export function showCourse(parent, course) {
  if (!course) return;
  shown = { parent, course };
  const data = dataOf(course);
  parent.setAttribute("role", "img");
  parent.setAttribute("aria-label", inWords(course));
  if (plot) return plot.setData(data);
  plot = new uPlot(options(parent), data, parent);
  new ResizeObserver(() => plot.setSize(sizeOf(parent))).observe(parent);
}

/** What is still to come has no line. */
function dataOf(course) {
  const now = centralNow();
  const times = course.entries.map((_, index) => (course.start_ms + index * course.step_ms) / 1000);
  // A step is drawn up to the next one's beginning, so the half hour that runs needs that as well.
  const until = (counts) => counts.map((count, index) => {
    if (times[index] * 1000 <= now) return count;
    return index > 0 && times[index - 1] * 1000 <= now ? counts[index - 1] : null;
  });
  return [times, until(course.entries), until(course.exits)];
}

function inWords(course) {
  const sum = (counts) => counts.reduce((total, count) => total + count, 0);
  const most = Math.max(...course.entries);
  const busiest = timeOfDay(course.start_ms + course.entries.indexOf(most) * course.step_ms);
  return t("dashboard.course_in_words", { entries: sum(course.entries), exits: sum(course.exits), busiest });
}

function options(parent) {
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const quiet = colour("--bs-secondary-color");
  const grid = { stroke: colour("--bs-border-color"), width: 1 };
  // A wall has larger letters.
  const scale = Number.parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
  const font = `${12 * scale}px system-ui, sans-serif`;
  const axis = { stroke: quiet, grid, ticks: { show: false }, font };
  const series = (stroke, fill) => ({
    stroke, fill, width: 2, points: { show: false }, paths: uPlot.paths.stepped({ align: 1 }),
  });
  return {
    ...sizeOf(parent),
    padding: [8, 8, 0, 0],
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), siteZone()),
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: true }, y: { range: (_, __, most) => [0, Math.max(4, Math.ceil(most * 1.1))] } },
    axes: [
      { ...axis, space: 60 * scale, size: 28 * scale, values: (_, marks) => marks.map((seconds) => timeOfDay(seconds * 1000)) },
      { ...axis, size: 44 * scale, values: (_, marks) => marks.map(number), incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000] },
    ],
    series: [{}, series(colour("--accent"), colour("--accent-soft")), series(colour("--wait"))],
  };
}

// The canvas has its colours from the style sheet when it is made.
dark.addEventListener("change", () => {
  plot?.destroy();
  plot = null;
  if (shown) showCourse(shown.parent, shown.course);
});
