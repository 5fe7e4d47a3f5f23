/** Two looks at the image: with the noise that the model was asked under, and changed by exactly the radius. */

import { h, fill } from "./dom.js";
import { count, floor, short } from "./numbers.js";
import { changed, inRandomDirection, noisy, onFewPixels, spreadEvenly } from "./noise.js";
import { draw } from "./picture.js";
import { NORMS, ownNorm } from "./words.js";

/** @typedef {import("./types.js").Certificate} Certificate */
/** @typedef {import("./types.js").Pixels} Pixels */

const SAMPLES = 4;

/** @type {Record<string, string>} */
const LAWS = {
  gaussian: "Gaussian noise: an independent draw for every value, with standard deviation",
  uniform: "uniform noise: an independent draw for every value between −√3·σ and √3·σ, with standard deviation",
};

/**
 * Noisy copies, drawn in the browser.
 * @param {Certificate} certificate
 * @param {Pixels} pixels
 * @returns {HTMLElement}
 */
export function noisySamples(certificate, pixels) {
  const strips = certificate.noise.map(({ noise, sigma }) => {
    const strip = h("div", { class: "strip" });
    const redraw = () => fill(strip, ...Array.from({ length: SAMPLES }, () => draw(noisy(pixels, noise, sigma), `The image with ${noise} noise`)));
    redraw();
    return { strip, redraw, law: `${LAWS[noise] ?? noise} σ = ${short(sigma)}, pixels being 0 to 1` };
  });
  return h(
    "section",
    { class: "panel", "aria-labelledby": "samples-heading" },
    h("h3", { id: "samples-heading" }, "What the model was shown"),
    h("p", {}, "Each vote is the model’s answer to the image with fresh noise on it. These are such copies, drawn in this browser:"),
    ...strips.flatMap(({ strip, law }) => [strip, h("p", { class: "note" }, `With ${law}. Clipped only for display; the model also sees values below 0 and above 1.`)]),
    h("button", { type: "button", class: "quiet", click: () => strips.forEach(({ redraw }) => redraw()) }, "Draw again"),
  );
}

/**
 * The image, changed by exactly the certified radius in three ways.
 * @param {Certificate} certificate
 * @param {Pixels} pixels
 * @returns {HTMLElement}
 */
export function howLarge(certificate, pixels) {
  const norm = ownNorm(certificate);
  const size = certificate.radius[norm];
  const strip = h("div", { class: "strip" });
  const redraw = () => fill(strip, ...views(pixels, norm, size));
  redraw();
  return h(
    "section",
    { class: "panel", "aria-labelledby": "large-heading" },
    h("h3", { id: "large-heading" }, "How large that is"),
    h(
      "p",
      {},
      `Three changes whose ${NORMS[norm]} length is exactly ${floor(size)}: the edge of the ball. No shorter change, in any direction, leads to another label.`,
    ),
    strip,
    h("button", { type: "button", class: "quiet", click: redraw }, "Another random change"),
  );
}

/**
 * @param {Pixels} pixels
 * @param {"l1" | "l2"} norm
 * @param {number} size
 */
function views(pixels, norm, size) {
  const dimension = pixels.data.length;
  const few = onFewPixels(pixels, norm, size);
  const even = spreadEvenly(pixels, norm, size);
  const each = Math.abs(even[0] ?? 0);
  const touched = few.touched === 1 ? "one pixel" : `${count(few.touched)} pixels`;
  return [
    view(pixels, new Float32Array(dimension), "The image itself"),
    view(pixels, inRandomDirection(dimension, norm, size), "A random direction"),
    view(pixels, even, `Every value by ${floor(each * 255, 1)} of 255`),
    view(pixels, few.change, `All on ${touched}, as far as ${few.touched === 1 ? "it goes" : "they go"}`),
  ];
}

/**
 * @param {Pixels} pixels
 * @param {Float32Array} change
 * @param {string} words
 */
function view(pixels, change, words) {
  return h("figure", {}, draw(changed(pixels, change), words), h("figcaption", {}, words));
}
