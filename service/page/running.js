/** A job on its way: stage, progress, the growing radius. */

import { ball } from "./ball.js";
import { chart, growth, growthTable } from "./chart.js";
import { byId, fill, h } from "./dom.js";
import { announce } from "./notices.js";
import { count, floor, span } from "./numbers.js";
import { STAGES } from "./words.js";

/** @typedef {import("./types.js").Step} Step */

const ORDER = ["queued", "loading", "choosing", "adapting", "sampling", "remembering"];

/**
 * Shows how far a job is.
 * @param {Step[]} steps all that was seen of it
 * @param {string | null} picture
 * @param {string} norm that the radius is about, as far as this browser knows
 */
export function showProgress(steps, picture, norm) {
  const step = steps.at(-1);
  const stage = step?.progress.stage ?? "queued";
  const { completed = 0, total = 0 } = step?.progress ?? {};
  const points = growth(steps);
  const radius = points.at(-1)?.radius ?? 0;
  fill(byId("stage", HTMLElement), `${STAGES[stage] ?? stage}…`);
  fill(byId("stages", HTMLElement), ...ORDER.map((name) => stageItem(name, stage, steps)));
  const bar = byId("progress", HTMLProgressElement);
  if (total > 0) {
    bar.max = total;
    bar.value = Math.min(completed, total);
  } else bar.removeAttribute("value");
  fill(byId("counted", HTMLElement), counted(stage, completed, total), timeLeft(steps));
  fill(byId("live-ball", HTMLElement), ball({ radius, limit: 0, norm, picture, reach: room(radius) }));
  const live = byId("live-radius", HTMLElement);
  live.classList.toggle("waiting", radius === 0);
  fill(live, radius > 0 ? floor(radius) : "none yet", radius > 0 && norm && h("span", { class: "unit" }, ` in ${norm}`));
  byId("live-chart-box", HTMLElement).hidden = !points.length;
  if (points.length) {
    fill(byId("live-chart", HTMLElement), chart(points, total, norm, stage === "sampling" ? completed : 0), growthTable(points));
  }
  const sofar = radius > 0 ? `, certified so far: ${floor(radius)}` : "";
  announce(`${STAGES[stage] ?? stage}${total ? `, ${Math.round((100 * completed) / total)} per cent` : ""}${sofar}`);
}

/**
 * A scale that stays while the radius grows in it.
 * @param {number} radius
 */
const room = (radius) => (radius > 0 ? 2 ** Math.ceil(Math.log2(1.25 * radius)) : 0);

/**
 * @param {string} name
 * @param {string} stage
 * @param {Step[]} steps
 */
function stageItem(name, stage, steps) {
  const now = name === stage;
  const passed = ORDER.indexOf(name) < ORDER.indexOf(stage);
  const seen = name === "queued" || steps.some((step) => step.progress.stage === name);
  return h(
    "li",
    { class: now ? "now" : passed ? (seen ? "passed" : "passed skipped") : "", "aria-current": now ? "step" : null },
    STAGES[name] ?? name,
  );
}

/**
 * @param {string} stage
 * @param {number} completed
 * @param {number} total
 */
function counted(stage, completed, total) {
  if (!total) return "";
  return `${count(completed)} of ${count(total)} ${stage === "remembering" ? "regions" : "votes"}`;
}

/**
 * An estimate from this stage's pace, by the server's clock.
 * @param {Step[]} steps
 */
function timeLeft(steps) {
  const last = steps.at(-1);
  const same = steps.filter((step) => step.progress.stage === last?.progress.stage && step.progress.total === last.progress.total);
  const first = same[Math.floor(same.length / 2)]; // the beginning may have been slower
  if (!last || !first || last.progress.completed >= last.progress.total) return "";
  const pace = (last.progress.completed - first.progress.completed) / ((last.time - first.time) / 1000);
  if (!Number.isFinite(pace) || pace <= 0) return "";
  return ` · ${span((last.progress.total - last.progress.completed) / pace)} left`;
}
