/** How a certificate came about: level, memory, adaptation, machine. */

import { h, table } from "./dom.js";
import { count, floor, short } from "./numbers.js";
import { NORMS, POLICIES, ownNorm, whatMemoryDid } from "./words.js";

/** @typedef {import("./types.js").Certificate} Certificate */

/**
 * @param {Certificate} certificate
 * @param {(index: number) => string} name of a class
 * @returns {HTMLElement}
 */
export function facts(certificate, name) {
  return h(
    "section",
    { class: "panel", "aria-labelledby": "facts-heading" },
    h("h3", { id: "facts-heading" }, "How it came about"),
    h("dl", { class: "facts" }, ...entries(certificate, name).flatMap(([term, ...words]) => [h("dt", {}, term), h("dd", {}, ...words)])),
    ...certificate.noise.map((evidence) => trials(evidence)),
  );
}

/**
 * @param {Certificate} certificate
 * @param {(index: number) => string} name
 * @returns {[string, ...import("./dom.js").Child[]][]}
 */
function entries(certificate, name) {
  const { adaptation, compute, memory } = certificate;
  const levels = certificate.noise.map(
    ({ noise, sigma }) => `${noise}, σ = ${short(sigma)} (${short(Math.round(sigma * 2550) / 10)} of 255)`,
  );
  return [
    ["Noise", `${levels.join("; ")}: ${POLICIES[certificate.sigma_policy] ?? certificate.sigma_policy}`],
    ["Without noise", `the model itself says “${certificate.prediction.name}”`, certificate.agrees === false && ", and so disagrees"],
    ["Memory", whatMemoryDid(memory), memory.neighbours.length > 0 && ` Regions involved: ${memory.neighbours.join(", ")}.`],
    ["Adaptation", adapted(certificate)],
    ["At most", certificate.noise.map((e) => `${floor(e.radius_limit)} is the most that ${count(e.n_planned)} votes can certify under ${e.noise} noise at this σ`).join("; ")],
    ["Model", certificate.model, " ", h("code", { title: certificate.model_digest }, certificate.model_digest.slice(0, 12))],
    [
      "Computed",
      compute.samples === 0
        ? "without votes"
        : `${count(compute.samples)} votes in ${compute.seconds.toFixed(2)} s: ${count(compute.samples_per_second)} a second`,
      ` (${compute.backend}, ${compute.dtype}, ${compute.device}, ${compute.arithmetic} noise)`,
    ],
    ["Selected", ...certificate.noise.map((e) => `“${name(e.top_class)}” by ${count(e.n0)} separate votes under ${e.noise} noise. `)],
    ["Seed", h("code", {}, certificate.seed)],
    ["Made", h("time", { datetime: certificate.created_at }, new Date(certificate.created_at).toLocaleString("en", { dateStyle: "medium", timeStyle: "medium" }))],
  ];
}

/** @param {Certificate} certificate */
function adapted({ adaptation }) {
  if (!adaptation.used) return "none: the model’s own batch-norm statistics were used";
  return (
    `the batch-norm statistics were measured again under this noise, on ${count(adaptation.clean_size ?? 0)} ` +
    `clean images with momentum ${short(adaptation.momentum ?? 1)}`
  );
}

/** @param {Certificate["noise"][number]} evidence */
function trials(evidence) {
  if (!evidence.trials.length) return null;
  const norm = evidence.noise === "uniform" ? NORMS.l1 : NORMS.l2;
  const most = Math.max(...evidence.trials.map((trial) => trial.n));
  return h(
    "details",
    { class: "as-table" },
    h("summary", {}, `Noise levels that were tried (${evidence.trials.length}, ${evidence.noise})`),
    table(
      `What a few votes suggest at each level; none of this is certified`,
      ["σ", `Suggested ${norm} radius`, "Votes"],
      evidence.trials.map((trial) => [
        short(trial.sigma),
        trial.n < most ? "no better" : trial.certifies ? floor(trial.proxy_radius, 2) : "none",
        count(trial.n),
      ]),
      "numbers",
    ),
  );
}

/**
 * The three radii, each with what it means.
 * @param {Certificate} certificate
 * @returns {HTMLElement}
 */
export function radii(certificate) {
  const { radius } = certificate;
  const dimension = certificate.noise[0]?.dimension ?? 0;
  const own = ownNorm(certificate);
  /** @type {["l2" | "l1" | "linf", string, string][]} */
  const cards = [
    ["l2", floor(radius.l2), "The root of the sum of all squared changes. It counts a change of many pixels a little, or of few pixels a lot."],
    ["l1", floor(radius.l1), "The sum of all changes, each without its sign. It suits changes of few pixels: spots, scratches, dead pixels."],
    ["linf", floor(radius.linf, 6), `No pixel changes by more than this: ${floor(radius.linf * 255, 1)} of 255 shades, on all ${count(dimension)} values at once.`],
  ];
  cards.sort((a, b) => Number(b[0] === own) - Number(a[0] === own));
  return h(
    "dl",
    { class: "radii" },
    ...cards.map(([norm, value, words]) =>
      h("div", {}, h("dt", {}, `${NORMS[norm]} radius`), h("dd", { class: "size" }, value), h("dd", {}, words)),
    ),
  );
}
