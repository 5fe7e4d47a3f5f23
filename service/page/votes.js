/** The votes under one noise, as bars, with the bounds that the certificate rests on. */

import { h, svg, table } from "./dom.js";
import { ceiling, count, floor, percent, short } from "./numbers.js";
import { STOPS } from "./words.js";

/** @typedef {import("./types.js").NoiseEvidence} NoiseEvidence */

const SHOWN = 10;
const WIDE = 400;
const HIGH = 26;

/**
 * @param {NoiseEvidence} evidence
 * @param {(index: number) => string} name of a class
 * @returns {HTMLElement}
 */
export function votes(evidence, name) {
  const order = evidence.counts.map((_, index) => index);
  const at = (/** @type {number} */ index) => evidence.counts[index] ?? 0;
  order.sort((a, b) => Number(b === evidence.top_class) - Number(a === evidence.top_class) || at(b) - at(a));
  const shown = order.slice(0, SHOWN);
  const rest = order.slice(SHOWN).reduce((sum, index) => sum + at(index), 0);
  /** @type {import("./dom.js").Child[][]} */
  const rows = shown.map((index) => [
    name(index),
    bar(at(index) / evidence.n, evidence, index === evidence.top_class),
    count(at(index)),
    percent(at(index) / evidence.n),
  ]);
  if (order.length > SHOWN) {
    rows.push([`${order.length - SHOWN} other classes`, "", count(rest), percent(rest / evidence.n)]);
  }
  return h(
    "div",
    { class: "votes" },
    table(`Votes under ${evidence.noise} noise, σ = ${short(evidence.sigma)}`, ["Class", h("span", { class: "unseen" }, "Bar"), "Votes", "Share"], rows, "bars"),
    bounds(evidence, name),
  );
}

/**
 * @param {number} share
 * @param {NoiseEvidence} evidence
 * @param {boolean} top
 */
function bar(share, evidence, top) {
  const mark = WIDE * (top ? evidence.p_lower : evidence.p_upper);
  return svg(
    "svg",
    { viewBox: `0 0 ${WIDE} ${HIGH}`, class: top ? "bar leading" : "bar", "aria-hidden": "true", preserveAspectRatio: "none" },
    svg("rect", { x: 0, y: 6, width: WIDE, height: HIGH - 12, class: "bar-track" }),
    svg("rect", { x: 0, y: 6, width: Math.max(WIDE * share, share > 0 ? 1.5 : 0), height: HIGH - 12, class: "bar-votes" }),
    svg("line", { x1: mark, x2: mark, y1: 1, y2: HIGH - 1, class: "bar-bound" }),
  );
}

/**
 * @param {NoiseEvidence} evidence
 * @param {(index: number) => string} name
 */
function bounds(evidence, name) {
  const separated = evidence.p_lower > evidence.p_upper;
  const made =
    evidence.stop_reason !== "complete"
      ? `${count(evidence.n_drawn)} of ${count(evidence.n_planned)} votes, ${STOPS[evidence.stop_reason] ?? evidence.stop_reason}.`
      : `${count(evidence.n_drawn)} votes.`;
  return h(
    "p",
    { class: "note" },
    h("span", { class: "mark" }),
    ` The vertical marks are bounds that hold together, except with probability ${short(evidence.alpha)}: under noise, “`,
    name(evidence.top_class),
    "” wins with probability at least ",
    h("b", {}, floor(evidence.p_lower)),
    ", any other class with at most ",
    h("b", {}, ceiling(evidence.p_upper)),
    separated ? ". The radius follows from the gap between them. " : ". They overlap, so nothing is proved. ",
    made,
  );
}
