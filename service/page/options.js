/** The options that the page has no place of its own for, made from the API's description. */

import { byId, h } from "./dom.js";

/**
 * @typedef {object} Schema
 * @property {string} [type]
 * @property {string} [$ref]
 * @property {string[]} [enum]
 * @property {unknown} [default]
 * @property {string} [description]
 * @property {Schema} [items]
 * @property {number} [maxLength]
 * @property {number} [minimum]
 * @property {number} [maximum]
 * @property {number} [exclusiveMinimum]
 * @property {number} [exclusiveMaximum]
 */

/** @type {[keyof Schema, string][]} */
const LIMITS = [
  ["minimum", "at least"],
  ["exclusiveMinimum", "more than"],
  ["maximum", "at most"],
  ["exclusiveMaximum", "less than"],
];

/**
 * Adds a field for each property of the request that the form lacks, with its type, limits and description.
 * @param {Record<string, Schema>} properties
 * @param {Record<string, Schema>} schemas
 */
export function addOptions(properties, schemas) {
  const { elements } = byId("form", HTMLFormElement);
  for (const [name, property] of Object.entries(properties)) {
    if (name === "image" || elements.namedItem(name)) continue;
    const schema = { ...schemas[property.$ref?.split("/").at(-1) ?? ""], ...property };
    byId("options", HTMLElement).append(option(name, schema));
  }
}

/**
 * @param {string} name
 * @param {Schema} schema
 */
function option(name, schema) {
  const words = name.replaceAll("_", " ");
  return h(
    "div",
    { class: "field" },
    h("label", { for: name }, words.charAt(0).toUpperCase() + words.slice(1)),
    control(name, schema),
    h("p", { class: "help", id: `${name}-help` }, ...marked(schema.description ?? ""), limits(schema)),
    h("p", { class: "error", id: `${name}-error`, hidden: true }),
  );
}

/**
 * A list where there are few values, else a line of text; empty, the field is not sent.
 * @param {string} name
 * @param {Schema} schema
 */
function control(name, schema) {
  const known = { id: name, name, "aria-describedby": `${name}-help ${name}-error` };
  const values = schema.type === "boolean" ? ["true", "false"] : schema.enum;
  if (values) {
    const usual = schema.default === undefined ? "default" : `default: ${shown(String(schema.default))}`;
    const options = values.map((value) => h("option", { value }, shown(value)));
    return h("select", known, h("option", { value: "" }, usual), ...options);
  }
  const kind = { integer: "numeric", number: "decimal" }[schema.type ?? ""];
  const typing = { autocomplete: "off", autocapitalize: "none", spellcheck: "false", inputmode: kind };
  return h("input", { type: "text", ...known, ...typing, maxlength: schema.maxLength });
}

/** @param {string} value such as "one_sided" */
const shown = (value) => ({ true: "yes", false: "no" })[value] ?? value.replaceAll("_", " ");

/**
 * Text in which `this` is code.
 * @param {string} text
 */
const marked = (text) => text.split("`").map((part, index) => (index % 2 ? h("code", {}, part) : part));

/**
 * @param {Schema} schema
 * @returns {string} such as " More than 0, at most 100."
 */
function limits(schema) {
  const of = schema.items ?? schema;
  const words = LIMITS.flatMap(([limit, text]) => (of[limit] === undefined ? [] : [`${text} ${Number(of[limit]).toLocaleString("en")}`])).join(", ");
  if (schema.type === "array") return ` Separated by commas${words && `; each ${words}`}.`;
  return words && ` ${words.charAt(0).toUpperCase()}${words.slice(1)}.`;
}
