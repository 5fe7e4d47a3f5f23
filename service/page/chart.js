/** The certified radius over the votes: a line that only grows, on a logarithmic axis of votes. */

import { h, svg, table } from "./dom.js";
import { count, floor, short } from "./numbers.js";

/** @typedef {{ votes: number, radius: number }} Point */

const NARROW = matchMedia("(max-width: 40rem)"); // where the drawing shrinks, its letters must not
const HIGH = 220;
const LEFT = 46;
const RIGHT = 14;
const TOP = 14;
const BOTTOM = 34;

/**
 * The moments at which the radius grew, in order.
 * @param {import("./types.js").Step[]} steps
 * @returns {Point[]}
 */
export function growth(steps) {
  /** @type {Point[]} */
  const points = [];
  for (const { progress } of steps) {
    const radius = progress.radius_so_far;
    if (progress.stage === "loading") points.length = 0; // a lost worker's job begins again
    if (progress.stage !== "sampling" || !radius || radius <= (points.at(-1)?.radius ?? 0)) continue;
    points.push({ votes: progress.completed, radius });
  }
  return points;
}

/**
 * Draws the chart.
 * @param {Point[]} points
 * @param {number} total votes that are planned
 * @param {string} norm
 * @param {number} [reached] votes made by now
 * @returns {SVGElement}
 */
export function chart(points, total, norm, reached = 0) {
  const wide = NARROW.matches ? 330 : 560;
  const first = Math.max(10, Math.min(100, total / 10));
  const most = Math.max(...points.map((point) => point.radius), 1e-9) * 1.15;
  const span = Math.log(Math.max(total, first * 10) / first);
  const x = (/** @type {number} */ votes) =>
    LEFT + (wide - LEFT - RIGHT) * Math.min(1, Math.max(0, Math.log(votes / first) / span));
  const y = (/** @type {number} */ radius) => HIGH - BOTTOM - (HIGH - BOTTOM - TOP) * (radius / most);
  const now = x(Math.max(reached, points.at(-1)?.votes ?? first));
  const last = points.at(-1);
  const words = last
    ? `The certified radius${norm && ` in ${norm}`} grew to ${floor(last.radius)} after ${count(last.votes)} votes.`
    : "No radius is certified yet.";
  return svg(
    "svg",
    { viewBox: `0 0 ${wide} ${HIGH}`, class: "chart", role: "img", "aria-label": words },
    ...axis(first, Math.max(total, first * 10), x),
    ...(last ? levels(most, y, wide) : []),
    svg("line", { x1: LEFT, x2: wide - RIGHT, y1: HIGH - BOTTOM, y2: HIGH - BOTTOM, class: "chart-axis" }),
    svg("text", { x: LEFT, y: TOP - 3, class: "chart-title" }, `certified radius${norm && `, ${norm}`}`),
    svg("text", { x: wide - RIGHT, y: HIGH - 4, class: "chart-title end" }, "votes"),
    last && svg("path", { d: stairs(points, x, y, now, true), class: "chart-area" }),
    last && svg("path", { d: stairs(points, x, y, now, false), class: "chart-line" }),
    ...points.map((point) => svg("circle", { cx: x(point.votes), cy: y(point.radius), r: 3.5, class: "chart-point" })),
  );
}

/**
 * @param {Point[]} points
 * @param {(votes: number) => number} x
 * @param {(radius: number) => number} y
 * @param {number} end
 * @param {boolean} closed
 */
function stairs(points, x, y, end, closed) {
  const start = points[0] ? x(points[0].votes) : end;
  const steps = points.map((point) => `H ${x(point.votes)} V ${y(point.radius)}`).join(" ");
  return `M ${start} ${y(0)} ${steps} H ${end}${closed ? ` V ${y(0)} Z` : ""}`;
}

/**
 * @param {number} first
 * @param {number} total
 * @param {(votes: number) => number} x
 */
function axis(first, total, x) {
  const marks = [];
  for (let votes = 10 ** Math.ceil(Math.log10(first)); votes <= total; votes *= 10) marks.push(votes);
  if (x(total) - x(marks.at(-1) ?? first) < 75) marks.pop(); // their numbers would overlap
  marks.push(total);
  return marks.flatMap((votes) => [
    svg("line", { x1: x(votes), x2: x(votes), y1: TOP, y2: HIGH - BOTTOM, class: "chart-grid" }),
    svg("text", { x: x(votes), y: HIGH - BOTTOM + 15, class: votes === total ? "chart-number end" : "chart-number" }, count(votes)),
  ]);
}

/**
 * @param {number} most
 * @param {(radius: number) => number} y
 * @param {number} wide
 */
function levels(most, y, wide) {
  const power = 10 ** Math.floor(Math.log10(most));
  const step = [0.2, 0.25, 0.5, 1, 2].map((size) => size * power).find((size) => most / size <= 5) ?? most;
  return Array.from({ length: Math.floor(most / step) }, (_, index) => (index + 1) * step).flatMap((radius) => [
    svg("line", { x1: LEFT, x2: wide - RIGHT, y1: y(radius), y2: y(radius), class: "chart-grid" }),
    svg("text", { x: LEFT - 6, y: y(radius) + 4, class: "chart-number end" }, short(radius)),
  ]);
}

/**
 * The chart's numbers, for those who do not see it.
 * @param {Point[]} points
 */
export function growthTable(points) {
  return h(
    "details",
    { class: "as-table" },
    h("summary", {}, "As a table"),
    table(
      `The certified radius as votes came in`,
      ["Votes", "Radius"],
      points.map((point) => [count(point.votes), floor(point.radius)]),
      "numbers",
    ),
  );
}
