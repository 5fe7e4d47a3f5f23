/** The fields of the request: the API's defaults, the user's values, and error messages. */

import { ask } from "./api.js";
import { byId, h } from "./dom.js";
import { addOptions } from "./options.js";

/** @typedef {import("./options.js").Schema} Schema */
/** @typedef {import("./types.js").Problem} Problem */

const LEVEL_FIELDS = ["sigma", "sigma_uniform", "sigma_grid"];

/** @returns {HTMLFormElement} */
const form = () => byId("form", HTMLFormElement);

/**
 * Completes the form from the API's description: the fields that it lacks, and every default.
 * @returns {Promise<void>}
 */
export async function loadFields() {
  /** @type {{ components?: { schemas?: Record<string, Schema & { properties?: Record<string, Schema> }> } }} */
  const document = await ask("openapi.json");
  const schemas = document.components?.schemas ?? {};
  const properties = schemas.CertifyForm?.properties ?? {};
  addOptions(properties, schemas);
  for (const [name, { default: value }] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    const field = form().elements.namedItem(name);
    if (field instanceof HTMLInputElement && field.type === "text") field.placeholder = String(value);
    if (field instanceof RadioNodeList && ![...field].some((one) => one instanceof HTMLInputElement && one.dataset.touched)) {
      field.value = String(value);
    }
  }
  adjust();
}

/** Shows only the fields that apply to the chosen noise and noise level. */
export function adjust() {
  const level = value("noise_level");
  const noise = value("noise");
  byId("field-sigma", HTMLElement).hidden = level === "auto";
  byId("field-sigma_grid", HTMLElement).hidden = level !== "auto";
  byId("field-sigma_uniform", HTMLElement).hidden = level === "auto" || noise !== "hybrid";
  const norm = noise === "uniform" ? "ℓ1" : "ℓ2";
  byId("target-norm", HTMLElement).textContent = norm;
}

/**
 * @param {string} name
 * @returns {string}
 */
export function value(name) {
  const field = form().elements.namedItem(name);
  return field instanceof RadioNodeList || field instanceof HTMLInputElement || field instanceof HTMLSelectElement
    ? field.value
    : "";
}

/**
 * The form as it is sent: empty fields are omitted, so that the API uses its defaults.
 * @param {Blob} image
 * @returns {FormData}
 */
export function collect(image) {
  const data = new FormData();
  data.append("image", image, "image");
  for (const [name, text] of new FormData(form())) {
    if (typeof text !== "string" || !text.trim() || name === "picture") continue;
    if (LEVEL_FIELDS.includes(name) && byId(`field-${name}`, HTMLElement).hidden) continue;
    data.append(name, text.trim());
  }
  return data;
}

/** Removes all error messages. */
export function clearErrors() {
  for (const error of form().querySelectorAll(".error[id]")) {
    error.textContent = "";
    if (error instanceof HTMLElement) error.hidden = true;
  }
  for (const field of form().querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
}

/**
 * Shows each message beside its field.
 * @param {Problem} problem
 * @returns {string[]} messages that belong to no field of the page
 */
export function showErrors(problem) {
  const homeless = [];
  /** @type {HTMLElement | null} */
  let first = null;
  for (const { pointer, message } of problem.errors) {
    const name = pointer.split("/")[1] ?? "";
    const place = document.getElementById(`${name}-error`);
    const field = document.getElementById(name) ?? form().querySelector(`[name="${CSS.escape(name)}"]`);
    if (!place || !(field instanceof HTMLElement)) {
      homeless.push(message);
      continue;
    }
    place.replaceChildren(...(place.textContent ? [h("span", {}, `${place.textContent}; `)] : []), message);
    place.hidden = false;
    field.setAttribute("aria-invalid", "true");
    field.closest("details")?.setAttribute("open", "");
    const wrapper = field.closest("[hidden]");
    if (wrapper instanceof HTMLElement) wrapper.hidden = false;
    first ??= field;
  }
  first?.focus();
  return homeless;
}
