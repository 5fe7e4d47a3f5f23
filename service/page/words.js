/** What the API's codes mean, in plain words. A code that is not known here is shown as it is. */

import { floor, short } from "./numbers.js";

/** @typedef {import("./types.js").Certificate} Certificate */
/** @typedef {import("./types.js").Memory} Memory */

/** @type {Record<string, string>} */
export const STAGES = {
  queued: "Waiting for a worker",
  loading: "Loading the model",
  choosing: "Choosing the noise level",
  adapting: "Adapting the model to the noise",
  sampling: "Collecting votes",
  remembering: "Comparing with earlier certificates",
  done: "Done",
};

/** @type {Record<string, string>} */
export const ABSTENTIONS = {
  top_class_not_separated: "The votes do not separate any class from the others.",
  no_noise_level_certifies: "No noise level that was tried separates a class from the others.",
  branches_disagree: "The two noises certify different classes.",
};

/** @type {Record<string, string>} */
export const STOPS = {
  complete: "all votes that were planned",
  target_reached: "stopped early: the target is certified",
  target_out_of_reach: "stopped early: more votes are unlikely to certify the target",
  hopeless: "stopped early: more votes are unlikely to separate a class",
  time_up: "stopped early: the time limit allowed no more",
};

/** @type {Record<string, string>} */
export const POLICIES = {
  fixed: "given in the request",
  auto: "chosen for this image from a grid",
  optimize: "found for this image by optimisation",
};

/** @type {Record<string, string>} */
export const STATUSES = {
  queued: "waiting",
  running: "running",
  succeeded: "done",
  failed: "failed",
  cancelled: "cancelled",
  expired: "expired: no worker took it in time",
};

/** @type {Record<string, (memory: Memory) => string>} */
const OUTCOMES = {
  off: () => "Not used: nothing was looked up and nothing was stored.",
  none: () => "It had nothing about this image, and nothing was stored.",
  added: (memory) => `This answer was stored as ${place(memory)}; later answers inside its radius will agree with it.`,
  clipped: (memory) =>
    `The radius was reduced so as not to touch any ${regions(memory.neighbours)} of another label; stored as ${place(memory)}.`,
  relabelled: (memory) =>
    `The image lies inside ${regions(memory.neighbours)}, certified earlier, whose label it takes; ` +
    (memory.index === null ? "nothing new was stored." : `stored as ${place(memory)}.`),
  repeated: (memory) =>
    `The same question was asked before: answered from ${regions(memory.index === null ? memory.neighbours : [memory.index])} ` +
    `of “${memory.namespace}”, without new votes.`,
};

/**
 * What the memory of certified regions did.
 * @param {Memory} memory
 */
export function whatMemoryDid(memory) {
  const words = OUTCOMES[memory.outcome]?.(memory) ?? memory.outcome;
  if (memory.inherited === null || memory.outcome === "repeated") return words;
  return (
    `${words} Earlier regions that contain this image promise its label within ` +
    `ℓ2 ${floor(memory.inherited.l2)}, ℓ1 ${floor(memory.inherited.l1)}, whatever its own votes say.`
  );
}

/** @param {Memory} memory */
const place = (memory) => `region ${memory.index} of “${memory.namespace}”`;

/** @param {number[]} places */
function regions(places) {
  if (places.length < 2) return places.length ? `region ${places[0]}` : "region";
  return `regions ${places.slice(0, -1).join(", ")} and ${places.at(-1)}`;
}

/**
 * The norm that a certificate is about first.
 * @param {Certificate} certificate
 * @returns {"l1" | "l2"}
 */
export const ownNorm = (certificate) =>
  certificate.noise.every((evidence) => evidence.noise === "uniform") && certificate.noise.length ? "l1" : "l2";

export const NORMS = { l2: "ℓ2", l1: "ℓ1", linf: "ℓ∞" };

/**
 * What the claim is about where each image has its own noise level and no memory makes one classifier of it.
 * @param {Certificate} certificate
 */
export function scope(certificate) {
  if (certificate.sigma_policy === "fixed" || !["off", "none"].includes(certificate.memory.outcome)) return "";
  const levels = [...new Set(certificate.noise.map((evidence) => short(evidence.sigma)))].join(" and ");
  return (
    `This is about the classifier smoothed at σ = ${levels} only: one that chooses σ anew for every image is ` +
    "another classifier, and might choose differently for a changed image. "
  );
}

/**
 * What α means for a certificate.
 * @param {Certificate} certificate
 */
export function chance(certificate) {
  if (certificate.memory.outcome === "relabelled") {
    return "The label comes from the regions that contain this image, not from its votes.";
  }
  return `The votes are drawn at random: with probability at most ${short(certificate.alpha)} they are misleading.`;
}
