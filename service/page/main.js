/** Starts the page, and follows the address: `#/jobs/{id}` and `#/certificates/{id}`. */

import { ProblemError } from "./api.js";
import { showChosen, startChooser } from "./chooser.js";
import { byId } from "./dom.js";
import { adjust, clearErrors, loadFields } from "./fields.js";
import { showJob, submit } from "./job.js";
import { askForKey } from "./key.js";
import { loadModels, showModel } from "./models.js";
import { announce, offerAgain } from "./notices.js";
import { showRemembered } from "./session.js";
import { imageChosen, openCertificate, show } from "./shown.js";

const ADDRESS = /^#\/(jobs|certificates)\/([0-9a-zA-Z]+)$/;
let leaving = new AbortController();
/** @type {Promise<void> | null} */
let models = null;

/** Shows what the address names. */
async function open() {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const [, kind, id = ""] = ADDRESS.exec(location.hash) ?? [];
  const trouble = byId("trouble", HTMLElement);
  trouble.hidden = true;
  if (!kind) return show("welcome");
  try {
    await models; // it names the classes
    if (signal.aborted) return;
    await (kind === "jobs" ? showJob(id, signal) : openCertificate(id, signal));
  } catch (error) {
    if (signal.aborted) return;
    show("welcome");
    offerAgain(trouble, error, open);
    announce(error instanceof Error ? error.message : "", true);
  }
}

/** Loads models and fields; offers to try again if that fails. */
async function prepare() {
  try {
    await Promise.all([loadModels(), loadFields()]);
    showModel();
    showChosen();
  } catch (error) {
    offerAgain(byId("no-models", HTMLElement), error, () => (models = prepare()));
  }
}

/**
 * Sends the form.
 * @param {boolean} [again] whether it is unchanged since it was sent in vain
 */
async function send(again = false) {
  const button = byId("submit", HTMLButtonElement);
  const trouble = byId("form-trouble", HTMLElement);
  if (button.getAttribute("aria-disabled") === "true") return;
  clearErrors();
  trouble.hidden = true;
  button.setAttribute("aria-disabled", "true");
  try {
    const id = await submit(again);
    if (id === null) return;
    byId("result", HTMLElement).focus({ preventScroll: true });
    location.hash = `#/jobs/${id}`;
  } catch (error) {
    offerAgain(trouble, error, () => send(true));
    if (error instanceof ProblemError) announce(error.message, true);
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

function start() {
  const form = byId("form", HTMLFormElement);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  form.addEventListener("change", ({ target }) => {
    if (target instanceof HTMLInputElement) target.dataset.touched = "yes";
    byId("form-trouble", HTMLElement).hidden = true;
    adjust();
  });
  byId("model", HTMLSelectElement).addEventListener("change", () => {
    showModel();
    showChosen();
  });
  byId("open-key", HTMLButtonElement).addEventListener("click", async () => {
    if (await askForKey()) models = prepare();
  });
  startChooser(() => {
    byId("form-trouble", HTMLElement).hidden = true;
    imageChosen();
  });
  showRemembered();
  adjust();
  models = prepare();
  window.addEventListener("hashchange", open);
  open();
}

start();
