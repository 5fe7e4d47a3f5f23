/** A certificate, for a person: the label and the radius first, then what they mean and rest on. */

import { ball } from "./ball.js";
import { chart, growth, growthTable } from "./chart.js";
import { check } from "./check.js";
import { h } from "./dom.js";
import { facts, radii } from "./facts.js";
import { floor, short } from "./numbers.js";
import { howLarge, noisySamples } from "./samples.js";
import { votes } from "./votes.js";
import { ABSTENTIONS, NORMS, chance, ownNorm, scope } from "./words.js";

/** @typedef {import("./types.js").Certificate} Certificate */
/** @typedef {import("./types.js").Pixels} Pixels */

/**
 * @typedef {object} Context what the page knows besides the certificate
 * @property {string[] | null} classes names of the model's classes
 * @property {Pixels | null} pixels the image as the model sees it
 * @property {string | null} picture address of the image
 * @property {import("./types.js").Step[]} steps progress that was seen
 */

/**
 * @param {Certificate} certificate
 * @param {Context} context
 * @returns {{ head: HTMLElement[], rest: HTMLElement[] }} the answer itself, and what it rests on
 */
export function answer(certificate, context) {
  const name = namer(certificate, context.classes);
  const rest = [
    ...looks(certificate, context),
    h(
      "section",
      { class: "panel", "aria-labelledby": "votes-heading" },
      h("h3", { id: "votes-heading" }, "The votes"),
      ...certificate.noise.map((evidence) => votes(evidence, name)),
    ),
    grown(certificate, context),
    facts(certificate, name),
    check(certificate),
  ].filter((part) => part !== null);
  return { head: [headline(certificate, context.picture), meaning(certificate)], rest };
}

/**
 * Names of classes: all if the model is known, else those in the certificate.
 * @param {Certificate} certificate
 * @param {string[] | null} classes
 */
function namer(certificate, classes) {
  const named = [certificate.label, certificate.prediction];
  return (/** @type {number} */ index) =>
    classes?.[index] ?? named.find((label) => label?.index === index)?.name ?? `class ${index}`;
}

/**
 * @param {Certificate} certificate
 * @param {string | null} picture
 */
function headline(certificate, picture) {
  const norm = ownNorm(certificate);
  const size = certificate.radius[norm];
  const limit = Math.max(0, ...certificate.noise.map((evidence) => evidence.radius_limit));
  const { label } = certificate;
  return h(
    "div",
    { class: label ? "headline" : "headline abstained" },
    h(
      "figure",
      { class: "figure" },
      ball({ radius: size, limit, norm: NORMS[norm], target: certificate.target_radius, picture }),
      limit > 0 && h("figcaption", {}, `Dashed: ${floor(limit)}, the most that this number of votes can certify at this σ`),
    ),
    h(
      "div",
      { class: "verdict-box" },
      h("p", { class: "kicker" }, label ? "Certified label" : "No label"),
      h("p", { class: "label", id: "answer-label" }, label ? label.name : "The classifier abstains"),
      ...(label ? certifiedWords(certificate, norm, size) : abstainedWords(certificate)),
      h("ul", { class: "chips" }, ...chips(certificate).map(([words, kind]) => h("li", { class: kind }, words))),
    ),
  );
}

/**
 * @param {Certificate} certificate
 * @param {"l1" | "l2"} norm
 * @param {number} size
 */
function certifiedWords(certificate, norm, size) {
  const { noise, radius } = certificate;
  const odds = certificate.memory.outcome === "relabelled" ? "" : `, except with probability ${short(certificate.alpha)} at most`;
  return [
    h("p", { class: "kicker" }, "Certified radius"),
    h("p", { class: "radius" }, h("span", { id: "answer-radius" }, floor(size)), h("span", { class: "unit" }, ` in ${NORMS[norm]}`)),
    noise.length > 1 && h("p", { class: "second" }, h("b", {}, floor(radius.l1)), ` in ${NORMS.l1}, at once`),
    h("p", {}, `No change of the pixels smaller than ${floor(size)} leads to another label${odds}. This covers every possible change, not only known attacks.`),
  ];
}

/** @param {Certificate} certificate */
function abstainedWords({ abstain_reason: reason }) {
  return [
    h("p", { class: "reason" }, ABSTENTIONS[reason ?? ""] ?? reason),
    h("p", {}, "That is an answer, not an error: nothing is claimed about this image. More votes, or another noise level, may certify it."),
  ];
}

/**
 * @param {Certificate} certificate
 * @returns {[string, string][]}
 */
function chips(certificate) {
  /** @type {[string, string][]} */
  const found = [];
  const { agrees, correct, prediction, target_certified: certified, target_radius: target } = certificate;
  if (target !== null) found.push(certified ? [`target ${short(target)} certified`, "good"] : [`target ${short(target)} not certified`, "warn"]);
  if (agrees !== null) found.push(agrees ? ["agrees with the model without noise", "good"] : [`without noise: ${prediction.name}`, "warn"]);
  if (correct !== null) found.push(correct ? ["correct", "good"] : ["not the true class", "bad"]);
  if (certificate.memory.outcome === "repeated") found.push(["from memory", "plain"]);
  found.push([`α = ${short(certificate.alpha)}`, "plain"]);
  return found;
}

/** @param {Certificate} certificate */
function meaning(certificate) {
  if (!certificate.label) {
    return h("section", { class: "panel", "aria-labelledby": "meaning-heading" }, h("h3", { id: "meaning-heading" }, "What is claimed"), h("blockquote", { class: "claim" }, certificate.claim));
  }
  const same = certificate.same_class_radius;
  const own = ownNorm(certificate);
  return h(
    "section",
    { class: "panel", "aria-labelledby": "meaning-heading" },
    h("h3", { id: "meaning-heading" }, "What it means"),
    radii(certificate),
    h("p", { class: "note" }, `Pixels count from 0 (black) to 1 (white); if they counted to 255, the ${NORMS[own]} radius would be ${floor(certificate.radius[own] * 255, 1)}. A change within any of the three is covered. All are rounded down.`),
    same && h("p", { class: "note" }, "Within these radii no other class is answered, though the classifier may abstain. ", sameClass(same)),
    h("blockquote", { class: "claim" }, certificate.claim),
    h("p", { class: "note" }, scope(certificate), chance(certificate), " It says nothing of whether the label is true."),
  );
}

/** @param {import("./types.js").Radius} same within which both smoothed classifiers have the class */
const sameClass = (same) =>
  same.l2 || same.l1 || same.linf
    ? `Within ℓ2 ${floor(same.l2)}, ℓ1 ${floor(same.l1)}, ℓ∞ ${floor(same.linf, 6)} both smoothed classifiers have this label.`
    : "Only one of the noises certifies, so any change may turn the answer into an abstention.";

/**
 * @param {Certificate} certificate
 * @param {Context} context
 */
function looks(certificate, { pixels }) {
  if (!pixels) {
    return [h("p", { class: "panel note whole" }, "A certificate does not hold the image. Choose the same file on this page to see it changed by the radius, and with the noise that the model was shown.")];
  }
  return [certificate.label && howLarge(certificate, pixels), noisySamples(certificate, pixels)].filter((part) => part !== null);
}

/**
 * @param {Certificate} certificate
 * @param {Context} context
 */
function grown(certificate, { steps }) {
  const points = growth(steps);
  if (points.length < 2 || certificate.memory.outcome === "repeated") return null;
  const norm = NORMS[ownNorm(certificate)];
  const total = certificate.noise[0]?.n_planned ?? 0;
  return h(
    "section",
    { class: "panel", "aria-labelledby": "growth-heading" },
    h("h3", { id: "growth-heading" }, "How the radius grew"),
    h("p", {}, "Every point was certified at its moment: more votes only sharpen the bound."),
    chart(points, total, norm),
    growthTable(points),
  );
}
