/** One job from its submission to its end: `#/jobs/{id}`, then `#/certificates/{id}`. */

import { ProblemError, ask, request } from "./api.js";
import { answer } from "./answer.js";
import { getChosen } from "./chooser.js";
import { byId, fill, h } from "./dom.js";
import { follow } from "./events.js";
import { collect, showErrors, value } from "./fields.js";
import { classNames, getModel } from "./models.js";
import { announce, explain } from "./notices.js";
import { floor } from "./numbers.js";
import { digest, draw, fitted } from "./picture.js";
import { showProgress } from "./running.js";
import { recall, remember } from "./session.js";
import { ABSTENTIONS, NORMS, STATUSES, ownNorm } from "./words.js";

/** @typedef {import("./types.js").Certificate} Certificate */
/** @typedef {import("./types.js").Job} Job */
/** @typedef {import("./types.js").Pixels} Pixels */
/** @typedef {import("./types.js").Step} Step */

/** @type {Map<string, Pixels>} images of jobs, as their models see them */
const pixelsOf = new Map();
/** @type {Certificate | null} the one that is shown without its image */
let bare = null;
let attempt = "";

/**
 * Shows one of the panels.
 * @param {"welcome" | "running" | "answer"} name
 */
export function show(name) {
  for (const panel of ["welcome", "running", "answer"]) byId(panel, HTMLElement).hidden = panel !== name;
  byId("rest", HTMLElement).hidden = name !== "answer";
  document.body.classList.toggle("working", name !== "welcome");
}

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
    if (pause !== null) fill(connection, `Connection lost; trying again in ${Math.ceil(pause)} s. The job goes on without us.`);
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

/**
 * Fetches a certificate and shows it.
 * @param {string} id
 * @param {AbortSignal} signal
 */
export async function openCertificate(id, signal) {
  showCertificate(await ask(`certificates/${id}`, { signal }), []);
}

/**
 * @param {Certificate} certificate
 * @param {Step[]} steps
 */
async function showCertificate(certificate, steps) {
  const { id, label, model } = certificate;
  const known = recall(id);
  const words = label ? `${label.name}, ${floor(certificate.radius[ownNorm(certificate)])}` : "abstained";
  remember(id, { model, words, certificate: true, created: known?.created ?? certificate.created_at });
  const pixels = pixelsOf.get(id) ?? (await sameImage(certificate)) ?? (await fromPicture(certificate, known?.picture));
  const picture = known?.picture ?? (pixels && draw(pixels, "").toDataURL());
  bare = pixels ? null : certificate;
  show("answer");
  const spoken = label ? `Certified: ${words}` : `The classifier abstains. ${ABSTENTIONS[certificate.abstain_reason ?? ""] ?? ""}`;
  present(answer(certificate, { classes: classNames(certificate), pixels, picture, steps }), spoken);
}

/** An image was chosen: perhaps that of the certificate that is shown without one. */
export async function imageChosen() {
  if (bare && !byId("answer", HTMLElement).hidden && (await sameImage(bare))) await showCertificate(bare, []);
}

/**
 * The image in the form, if it is the one that the certificate is about.
 * @param {Certificate} certificate
 */
async function sameImage(certificate) {
  const image = getChosen();
  const model = getModel(certificate.model);
  if (!image?.bitmap || !model || (await digest(image.file)) !== certificate.upload_digest) return null;
  return fitted(image.bitmap, model);
}

/**
 * @param {Certificate} certificate
 * @param {string | null | undefined} picture as it was kept for this session
 */
async function fromPicture(certificate, picture) {
  const model = getModel(certificate.model);
  if (!picture || !model) return null;
  const image = new Image();
  image.src = picture;
  await image.decode();
  return fitted(await createImageBitmap(image), model);
}

/**
 * @param {ReturnType<typeof answer>} parts
 * @param {string} spoken
 */
function present({ head, rest }, spoken) {
  fill(byId("answer-parts", HTMLElement), ...head);
  fill(byId("rest", HTMLElement), ...rest);
  announce(spoken, true);
  const heading = byId("answer-heading", HTMLElement);
  if (document.activeElement === document.body || byId("running", HTMLElement).contains(document.activeElement)) {
    heading.focus({ preventScroll: true });
  }
}


