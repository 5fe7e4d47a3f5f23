/** What to do with a certificate: verify it, keep it, pass it on. */

import { ask } from "./api.js";
import { fill, h } from "./dom.js";
import { announce, explain } from "./notices.js";

/** @typedef {import("./types.js").Certificate} Certificate */
/** @typedef {import("./types.js").Verification} Verification */

/**
 * @param {Certificate} certificate
 * @returns {HTMLElement}
 */
export function check(certificate) {
  const result = h("div", { id: "verification" });
  const verify = h("button", { type: "button", id: "verify" }, "Verify");
  verify.addEventListener("click", () => run(certificate, verify, result));
  const text = JSON.stringify(certificate, null, 2);
  const link = `#/certificates/${certificate.id}`;
  return h(
    "section",
    { class: "panel", "aria-labelledby": "check-heading" },
    h("h3", { id: "check-heading" }, "Check it, keep it"),
    h("p", {}, "Bounds and radius follow from the votes by arithmetic. “Verify” has the API do it again from the stored certificate, by other means than the worker did; ", h("code", {}, "radii verify certificate.json"), " does the same on any machine."),
    h(
      "div",
      { class: "buttons" },
      verify,
      h("a", { class: "button quiet", href: blob(text), download: `certificate-${certificate.id}.json` }, "Download JSON"),
      copier("Copy JSON", () => text),
      copier("Copy link", () => new URL(link, location.href).href),
    ),
    result,
    h("p", { class: "note" }, "Permalink, kept for 30 days: ", h("a", { href: link, id: "permalink" }, h("code", {}, certificate.id))),
    h("details", { class: "json" }, h("summary", {}, "The certificate as JSON"), h("pre", { tabindex: 0, role: "region", "aria-label": "Certificate as JSON", id: "certificate-json" }, text)),
  );
}

/** @param {string} text */
const blob = (text) => URL.createObjectURL(new Blob([text], { type: "application/json" }));

/**
 * @param {Certificate} certificate
 * @param {HTMLButtonElement} button
 * @param {HTMLElement} result
 */
async function run(certificate, button, result) {
  button.disabled = true;
  fill(result, h("p", { class: "note" }, "Computing again…"));
  try {
    /** @type {Verification} */
    const verification = await ask(`certificates/${certificate.id}/verify`, { method: "POST" });
    fill(result, ...show(verification));
    announce(verification.valid ? "Verified: everything holds." : "Verification failed.", true);
  } catch (error) {
    fill(result, explain(error));
  } finally {
    button.disabled = false;
    button.focus();
  }
}

/** @param {Verification} verification */
function show({ valid, checks }) {
  return [
    h("p", { class: valid ? "verdict good" : "verdict bad" }, valid ? "Verified: everything holds." : "This certificate does not hold."),
    h(
      "details",
      { open: !valid },
      h("summary", {}, `${checks.filter((one) => one.passed).length} of ${checks.length} checks hold`),
      h(
        "ul",
        { class: "checks" },
        ...checks.map((one) =>
          h("li", { class: one.passed ? "good" : "bad" }, h("b", {}, `${one.name}: ${one.passed ? "holds" : "FAILS"}`), " ", h("span", {}, one.message)),
        ),
      ),
    ),
  ];
}

/**
 * A button that copies, and says so.
 * @param {string} words
 * @param {() => string} text
 */
function copier(words, text) {
  const button = h("button", { type: "button", class: "quiet" }, words);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text());
      fill(button, "Copied");
      announce("Copied.", true);
    } catch {
      fill(button, "The browser does not allow it"); // without https, say
    }
    setTimeout(() => fill(button, words), 2000);
  });
  return button;
}
