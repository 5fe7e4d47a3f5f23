/** Choosing an image: a file, one dropped or pasted, or an example. */

import { byId, fill, h } from "./dom.js";
import { getModel, shapeOf } from "./models.js";
import { decode, draw, fitted } from "./picture.js";

/** @typedef {{ file: Blob, name: string, bitmap: ImageBitmap | null }} Chosen */

/** @type {Chosen | null} */
let chosen = null;
/** @type {() => void} */
let onChosen = () => {};

/** @returns {Chosen | null} */
export const getChosen = () => chosen;

/**
 * Listens for images.
 * @param {() => void} onChange
 */
export function startChooser(onChange) {
  onChosen = onChange;
  const input = byId("image", HTMLInputElement);
  const drop = byId("drop", HTMLElement);
  input.addEventListener("change", () => input.files?.[0] && choose(input.files[0], input.files[0].name));
  for (const kind of ["dragenter", "dragover"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) drop.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    const file = event.dataTransfer?.files[0];
    if (file) choose(file, file.name);
  });
  document.addEventListener("paste", (event) => {
    const file = event.clipboardData?.files[0];
    if (file) choose(file, file.name || "pasted image");
  });
  for (const button of document.querySelectorAll("#examples button")) {
    if (button instanceof HTMLButtonElement) button.addEventListener("click", () => chooseExample(button));
  }
}

/** @param {HTMLButtonElement} button */
async function chooseExample(button) {
  const source = button.querySelector("img")?.src ?? "";
  const file = await (await fetch(source)).blob();
  const label = button.dataset.label ?? "";
  await choose(file, label);
  button.setAttribute("aria-pressed", "true");
  if (getModel()?.classes.includes(label)) byId("label", HTMLSelectElement).value = label;
}

/**
 * @param {Blob} file
 * @param {string} name
 */
export async function choose(file, name) {
  chosen = { file, name, bitmap: await decode(file) };
  byId("label", HTMLSelectElement).value = "";
  for (const button of document.querySelectorAll("#examples button")) button.setAttribute("aria-pressed", "false");
  const error = byId("image-error", HTMLElement);
  error.hidden = true;
  fill(error);
  byId("image", HTMLElement).removeAttribute("aria-invalid");
  showChosen();
  onChosen();
}

/** Shows the image as it will be certified, and says when the model takes another size. */
export function showChosen() {
  const place = byId("preview", HTMLElement);
  const words = byId("preview-words", HTMLElement);
  const advice = byId("fit-advice", HTMLElement);
  advice.hidden = true;
  if (!chosen) return;
  const { bitmap, name } = chosen;
  const model = getModel();
  if (!bitmap) {
    fill(place, h("span", { class: "no-picture", "aria-hidden": "true" }, "?"));
    fill(words, `${name}: this browser cannot show it`);
    return;
  }
  const pixels = model && fitted(bitmap, model);
  if (pixels) fill(place, draw(pixels, `Preview of ${name}`));
  fill(words, `${name}, ${bitmap.width}×${bitmap.height}`);
  if (!model || matches(bitmap, model)) return;
  advice.hidden = false;
  fill(advice, `The model takes ${shapeOf(model)}. Tick this, or the image is refused; the radius is then about the fitted image, shown above.`);
}

/**
 * @param {ImageBitmap} bitmap
 * @param {import("./types.js").ModelInfo} model
 */
const matches = (bitmap, model) => bitmap.width === model.input_shape[2] && bitmap.height === model.input_shape[1];
