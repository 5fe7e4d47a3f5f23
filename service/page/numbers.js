/** Numbers as a person reads them. Radii and lower bounds are rounded down, upper bounds up, never to nearest. */

const GROUPED = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat("en", { maximumSignificantDigits: 4, useGrouping: false });

/**
 * The digits of a number >= 0 without an exponent, as many as it takes to tell it from its neighbours.
 * @param {number} value
 */
function plain(value) {
  const [digits = "0", power = "0"] = value.toExponential().split("e");
  const figures = digits.replace(".", "");
  const point = Number(power) + 1;
  if (point <= 0) return `0.${"0".repeat(-point)}${figures}`;
  const padded = figures.padEnd(point, "0");
  return `${padded.slice(0, point)}.${padded.slice(point)}`;
}

/**
 * Rounded down.
 * @param {number} value at least 0
 * @param {number} [decimals]
 */
export function floor(value, decimals = 4) {
  const [whole = "0", part = ""] = plain(value).split(".");
  return decimals === 0 ? whole : `${whole}.${part.slice(0, decimals).padEnd(decimals, "0")}`;
}

/**
 * Rounded up.
 * @param {number} value at least 0
 * @param {number} [decimals] at least 1
 */
export function ceiling(value, decimals = 4) {
  const down = floor(value, decimals);
  const rest = plain(value).split(".")[1] ?? "";
  if (!/[1-9]/.test(rest.slice(decimals))) return down;
  const units = (BigInt(down.replace(".", "")) + 1n).toString().padStart(decimals + 1, "0");
  return `${units.slice(0, -decimals)}.${units.slice(-decimals)}`;
}

/** @param {number} value */
export const count = (value) => GROUPED.format(value);

/** @param {number} value at most four digits that count */
export const short = (value) => SHORT.format(value);

/** @param {number} share of 1 */
export const percent = (share) => `${(100 * share).toFixed(1)} %`;

/**
 * A span of time, coarse as an estimate is.
 * @param {number} seconds
 */
export function span(seconds) {
  if (seconds < 1) return "less than a second";
  if (seconds < 90) return `about ${Math.round(seconds)} s`;
  return `about ${Math.round(seconds / 60)} min`;
}
