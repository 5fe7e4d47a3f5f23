/** A certificate on the page, with its image where this browser has it: `#/certificates/{id}`. */

import { ask } from "./api.js";
import { answer } from "./answer.js";
import { getChosen } from "./chooser.js";
import { byId, fill } from "./dom.js";
import { classNames, getModel } from "./models.js";
import { announce } from "./notices.js";
import { floor } from "./numbers.js";
import { digest, draw, fitted } from "./picture.js";
import { recall, remember } from "./session.js";
import { ABSTENTIONS, ownNorm } from "./words.js";

/** @typedef {import("./types.js").Certificate} Certificate */
/** @typedef {import("./types.js").Pixels} Pixels */
/** @typedef {import("./types.js").Step} Step */

/** @type {Map<string, Pixels>} images of jobs, as their models see them */
export const pixelsOf = new Map();
/** @type {Certificate | null} the one that is shown without its image */
let bare = null;

/**
 * Shows one of the panels, and brings it into view.
 * @param {"welcome" | "running" | "answer"} name
 */
export function show(name) {
  for (const panel of ["welcome", "running", "answer"]) byId(panel, HTMLElement).hidden = panel !== name;
  byId("rest", HTMLElement).hidden = name !== "answer";
  document.body.classList.toggle("working", name !== "welcome");
  const result = byId("result", HTMLElement);
  const { top } = result.getBoundingClientRect();
  if (name !== "welcome" && (top < 0 || top > innerHeight / 2)) result.scrollIntoView({ block: "start" });
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
 * Shows a certificate, and how it grew if that was seen.
 * @param {Certificate} certificate
 * @param {Step[]} steps
 */
export async function showCertificate(certificate, steps) {
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
 * Fills the panel of answers.
 * @param {ReturnType<typeof answer>} parts
 * @param {string} spoken
 */
export function present({ head, rest }, spoken) {
  fill(byId("answer-parts", HTMLElement), ...head);
  fill(byId("rest", HTMLElement), ...rest);
  announce(spoken, true);
  const heading = byId("answer-heading", HTMLElement);
  if (document.activeElement === document.body || byId("result", HTMLElement).contains(document.activeElement)) {
    heading.focus({ preventScroll: true });
  }
}
