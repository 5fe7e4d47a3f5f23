/** The models that workers hold, and what one of them takes. */

import { ask } from "./api.js";
import { byId, fill, h } from "./dom.js";
import { count, percent, short } from "./numbers.js";

/** @typedef {import("./types.js").ModelInfo} ModelInfo */
/** @typedef {import("./types.js").ModelList} ModelList */

/** @type {Map<string, ModelInfo>} */
const known = new Map();

/** Asks which models there are and fills the list of them. */
export async function loadModels() {
  /** @type {ModelList} */
  const listing = await ask("models");
  known.clear();
  for (const model of listing.models) known.set(model.name, model);
  const select = byId("model", HTMLSelectElement);
  const chosen = known.has(select.value) ? select.value : listing.default;
  fill(
    select,
    ...listing.models.map((model) =>
      h("option", { value: model.name, selected: model.name === chosen }, model.ready ? model.name : `${model.name} (not ready)`),
    ),
  );
  if (!listing.models.length) fill(select, h("option", { value: "" }, "no worker has started yet"));
}

/**
 * The model that is chosen, or a model by name.
 * @param {string} [name]
 * @returns {ModelInfo | null}
 */
export function getModel(name = byId("model", HTMLSelectElement).value) {
  return known.get(name) ?? null;
}

/**
 * Names of a certificate's classes, if the model it is about is still there.
 * @param {import("./types.js").Certificate} certificate
 */
export function classNames(certificate) {
  const model = known.get(certificate.model);
  return model?.digest === certificate.model_digest ? model.classes : null;
}

/**
 * @param {ModelInfo} model
 * @returns {string} such as "28×28 pixels, grey"
 */
export function shapeOf({ input_shape: [channels, height, width] }) {
  return `${width}×${height} pixels, ${channels === 1 ? "grey" : channels === 3 ? "colour" : `${channels} channels`}`;
}

/**
 * How often the model alone, not smoothed, was right, as its card says; empty if it does not.
 * @param {ModelInfo} model
 * @returns {string}
 */
function accuracyOf({ metrics }) {
  const words = { clean_accuracy: "", noisy_accuracy: "under noise", noisy_accuracy_adapted: "adapted to it" };
  return Object.entries(words)
    .flatMap(([name, when]) => {
      const found = metrics.find(({ metric }) => metric === name);
      return found ? [`${percent(found.value)} ${when}`.trim()] : [];
    })
    .join(", ");
}

/** Shows what the chosen model takes, and fits the form to it. */
export function showModel() {
  const model = getModel();
  const place = byId("model-facts", HTMLElement);
  if (!model) return fill(place);
  fill(
    place,
    !model.ready && h("p", { class: "error" }, `Not ready: ${model.reason ?? "no worker is alive"}`),
    h(
      "dl",
      {},
      ...[
        ["Takes", shapeOf(model)],
        ["Knows", `${count(model.classes.length)} classes`],
        ["Accuracy", accuracyOf(model) || "unknown"],
        ["Noise", model.sigma === null ? "recommends no σ" : `recommends σ = ${short(model.sigma)}`],
        ["Adapts", model.adaptable ? "to the noise" : `no: ${model.not_adaptable_because ?? "it cannot"}`],
      ].flatMap(([term = "", words]) => [h("dt", {}, term), h("dd", {}, words)]),
    ),
  );
  byId("n", HTMLInputElement).placeholder = count(model.n);
  byId("sigma", HTMLInputElement).placeholder = model.sigma === null ? "0.5" : short(model.sigma);
  const truth = byId("label", HTMLSelectElement);
  const before = truth.value;
  fill(truth, h("option", { value: "" }, "unknown"), ...model.classes.map((name) => h("option", { value: name, selected: name === before }, name)));
}
