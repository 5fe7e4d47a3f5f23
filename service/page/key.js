/** The API key: asked for when the API wants one, kept until the tab is closed, sent nowhere else. */

import { byId } from "./dom.js";

const KEPT_AS = "radii.key";
/** @type {Promise<boolean> | null} */
let asking = null;

/** @returns {string | null} */
export const storedKey = () => sessionStorage.getItem(KEPT_AS);

/**
 * Shows the key's dialog.
 * @param {string} [why] what the API said of the key that it got
 * @returns {Promise<boolean>} whether there is a key to try now
 */
export function askForKey(why = "") {
  asking ??= show(why).finally(() => {
    asking = null;
  });
  return asking;
}

/**
 * @param {string} why
 * @returns {Promise<boolean>}
 */
function show(why) {
  const dialog = byId("key-dialog", HTMLDialogElement);
  const field = byId("key", HTMLInputElement);
  const error = byId("key-error", HTMLElement);
  error.textContent = why;
  error.hidden = !why;
  field.setAttribute("aria-invalid", String(Boolean(why)));
  field.value = storedKey() ?? "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(keep(dialog.returnValue, field)), { once: true });
  });
}

/**
 * @param {string} choice the value of the button that closed the dialog
 * @param {HTMLInputElement} field
 */
function keep(choice, field) {
  const key = field.value.trim();
  field.value = "";
  if (choice === "forget") sessionStorage.removeItem(KEPT_AS);
  if (choice !== "use" || !key) return false;
  sessionStorage.setItem(KEPT_AS, key);
  return true;
}
