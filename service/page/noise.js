/** The noises of smoothing/noises, drawn for the eye, and changes of an exact length. */

/** @typedef {import("./types.js").Pixels} Pixels */

/** A draw of the standard normal distribution, by Box and Muller. */
function normal() {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}

/** @type {Record<string, (sigma: number) => number>} */
const DRAWS = {
  gaussian: (sigma) => sigma * normal(),
  uniform: (sigma) => Math.sqrt(3) * sigma * (2 * Math.random() - 1), // U[−λ, λ), λ = √3·σ
};

/**
 * The picture with fresh noise on it, not clipped.
 * @param {Pixels} pixels
 * @param {"gaussian" | "uniform"} kind
 * @param {number} sigma standard deviation of each value
 * @returns {Pixels}
 */
export function noisy(pixels, kind, sigma) {
  const draw = DRAWS[kind] ?? DRAWS.gaussian;
  return { ...pixels, data: pixels.data.map((value) => value + (draw?.(sigma) ?? 0)) };
}

/**
 * @param {Float32Array} change
 * @param {"l1" | "l2"} norm
 */
export function length(change, norm) {
  return norm === "l1"
    ? change.reduce((sum, value) => sum + Math.abs(value), 0)
    : Math.sqrt(change.reduce((sum, value) => sum + value * value, 0));
}

/**
 * @param {Float32Array} direction
 * @param {"l1" | "l2"} norm
 * @param {number} size
 */
function scaled(direction, norm, size) {
  const factor = size / length(direction, norm);
  return direction.map((value) => value * factor);
}

/**
 * A change in a random direction, all directions alike.
 * @param {number} dimension
 * @param {"l1" | "l2"} norm
 * @param {number} size length of the change
 */
export function inRandomDirection(dimension, norm, size) {
  return scaled(new Float32Array(dimension).map(normal), norm, size);
}

/**
 * The same change of every value, towards grey so that it stays visible.
 * @param {Pixels} pixels
 * @param {"l1" | "l2"} norm
 * @param {number} size
 */
export function spreadEvenly(pixels, norm, size) {
  const mean = pixels.data.reduce((sum, value) => sum + value, 0) / pixels.data.length;
  return scaled(new Float32Array(pixels.data.length).fill(mean < 0.5 ? 1 : -1), norm, size);
}

/**
 * As few pixels as the length allows, turned over as far as they go, from the centre outwards.
 * @param {Pixels} pixels
 * @param {"l1" | "l2"} norm
 * @param {number} size
 * @returns {{ change: Float32Array, touched: number }}
 */
export function onFewPixels(pixels, norm, size) {
  const change = new Float32Array(pixels.data.length);
  const power = norm === "l1" ? 1 : 2;
  let left = size ** power;
  let touched = 0;
  for (const pixel of fromCentre(pixels)) {
    if (left <= 0) break;
    touched += 1;
    for (let channel = 0; channel < pixels.channels && left > 0; channel += 1) {
      const place = pixel * pixels.channels + channel;
      const value = pixels.data[place] ?? 0;
      const step = Math.min(Math.max(value, 1 - value), left ** (1 / power));
      change[place] = value < 0.5 ? step : -step;
      left -= step ** power;
      if (left < 1e-9) left = 0;
    }
  }
  return { change, touched };
}

/**
 * @param {Pixels} pixels
 * @returns {number[]} places of pixels, the centre's first
 */
function fromCentre({ width, height }) {
  const away = (/** @type {number} */ pixel) =>
    ((pixel % width) - (width - 1) / 2) ** 2 + (Math.floor(pixel / width) - (height - 1) / 2) ** 2;
  return Array.from({ length: width * height }, (_, pixel) => pixel).sort((a, b) => away(a) - away(b));
}

/**
 * @param {Pixels} pixels
 * @param {Float32Array} change
 * @returns {Pixels}
 */
export function changed(pixels, change) {
  return { ...pixels, data: pixels.data.map((value, place) => value + (change[place] ?? 0)) };
}
