/** One job from its submission to its end: `#/jobs/{id}`. */

import { ProblemError, ask, request } from "./api.js";
import { getChosen } from "./chooser.js";
import { byId, fill, h } from "./dom.js";
import { follow } from "./events.js";
import { collect, showErrors, value } from "./fields.js";
import { getModel } from "./models.js";
import { announce, explain } from "./notices.js";
import { draw, fitted } from "./picture.js";
import { showProgress } from "./running.js";
import { recall, remember } from "./session.js";
import { pixelsOf, present, show, showCertificate } from "./shown.js";
import { NORMS, STATUSES } from "./words.js";

/** @typedef {import("./types.js").Job} Job */
/** @typedef {import("./types.js").Step} Step */

let attempt = "";

/**
 * Sends what the form says.
 * @param {boolean} again whether it is what was sent last time, when no answer came
 * @returns {Promise<string | null>} the job's id; nothing when the API refuses a field
 * @throws {Error} it is no field's fault
 */
export async function submit(again) {
  const image = getChosen();
  if (!image) {
    showErrors({ type: "", title: "", status: 0, detail: "", code: "", errors: [{ pointer: "/image", message: "Choose an image first." }] });
    return null;
  }
  const model = getModel();
  const norm = { gaussian: NORMS.l2, uniform: NORMS.l1 }[value("noise")] ?? "";
  const pixels = image.bitmap && model ? fitted(image.bitmap, model) : null;
  if (!again) attempt = Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(16).padStart(8, "0")).join("");
  try {
    const headers = { "Idempotency-Key": attempt }; // so that sending again makes no second job
    /** @type {Job} */
    const job = await ask("certify", { method: "POST", body: collect(image.file), headers });
    if (pixels) pixelsOf.set(job.id, pixels);
    remember(job.id, { model: job.model, words: image.name, picture: pixels && draw(pixels, "").toDataURL(), norm });
    return job.id;
  } catch (error) {
    if (!(error instanceof ProblemError) || !error.problem.errors.length) throw error;
    announce(`${error.problem.title}: ${error.problem.detail}`, true);
    if (showErrors(error.problem).length) throw error;
    return null;
  }
}

/**
 * Follows a job to its end and shows what became of it.
 * @param {string} id
 * @param {AbortSignal} signal
 */
export async function showJob(id, signal) {
  const known = recall(id);
  const picture = known?.picture ?? null;
  const norm = known?.norm ?? "";
  /** @type {Step[]} */
  const steps = [];
  show("running");
  showProgress(steps, picture, norm);
  const connection = byId("connection", HTMLElement);
  connection.hidden = true;
  const lost = (/** @type {number | null} */ pause) => {
    connection.hidden = pause === null;
    if (pause !== null) fill(connection, `Connection lost; trying again in ${Math.ceil(pause)} s. The job continues on the server.`);
  };
  const cancel = byId("cancel", HTMLButtonElement);
  cancel.disabled = false;
  cancel.onclick = () => giveUp(id, cancel);
  for await (const item of follow(id, signal, lost)) {
    if ("progress" in item && "time" in item) {
      steps.push(item);
      showProgress(steps, picture, norm);
    } else ended(item, steps);
  }
}

/**
 * @param {string} id
 * @param {HTMLButtonElement} button
 */
async function giveUp(id, button) {
  button.disabled = true;
  try {
    await request(`jobs/${id}`, { method: "DELETE" });
    announce("Cancelling.", true);
  } catch (error) {
    const finished = error instanceof ProblemError && error.problem.status === 409;
    if (!finished) fill(byId("connection", HTMLElement), explain(error));
    byId("connection", HTMLElement).hidden = finished;
    button.disabled = finished;
  }
}

/**
 * @param {Job} job
 * @param {Step[]} steps
 */
function ended(job, steps) {
  if (job.certificate) {
    history.replaceState(null, "", `#/certificates/${job.certificate.id}`);
    showCertificate(job.certificate, steps);
    return;
  }
  const words = job.status === "failed" ? (job.error?.title ?? "failed") : (STATUSES[job.status] ?? job.status);
  remember(job.id, { words });
  show("answer");
  const error = job.error ? explain(new ProblemError(job.error, null)) : null;
  const title = h("p", { class: "label" }, job.error ? "The job has failed" : `The job is ${words}`);
  const box = h("div", { class: "verdict-box" }, h("p", { class: "kicker" }, "No answer"), title, error);
  present({ head: [h("div", { class: "headline abstained" }, box)], rest: [] }, words);
}
