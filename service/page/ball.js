/** The figure of the ball: the image at the centre, the certified radius round it, and what it could have been. */

import { svg } from "./dom.js";
import { floor, short } from "./numbers.js";

const SIZE = 320;
const REACH = 152; // of the largest circle that is drawn
const MIDDLE = SIZE / 2;
const PICTURE = 60;

/**
 * Draws the ball.
 * @param {object} what
 * @param {number} what.radius what is certified by now
 * @param {number} what.limit what all votes could certify; 0: not known
 * @param {string} what.norm such as ℓ2
 * @param {number | null} [what.target] the radius that was asked about
 * @param {string | null} [what.picture] address of the image
 * @param {number} [what.reach] what the figure has room for; by default as much as it needs
 * @returns {SVGElement}
 */
export function ball({ radius, limit, norm, target = null, picture = null, reach = 0 }) {
  const most = Math.max(radius, limit, target ?? 0, reach, 1e-9);
  const unit = REACH / most;
  const words =
    radius > 0
      ? `A ball of radius ${floor(radius)}${norm && ` in ${norm}`} round the image` +
        (limit > radius ? `; these votes could have certified ${floor(limit)} at most.` : ".")
      : "The image, with no certified ball round it.";
  return svg(
    "svg",
    { viewBox: `0 0 ${SIZE} ${SIZE}`, class: "ball", role: "img", "aria-label": words },
    ...(radius > 0 || limit > 0 ? scale(most, unit) : rings()),
    limit > 0 && svg("circle", { cx: MIDDLE, cy: MIDDLE, r: limit * unit, class: "ball-limit" }),
    target !== null && svg("circle", { cx: MIDDLE, cy: MIDDLE, r: target * unit, class: "ball-target" }),
    radius > 0 && svg("circle", { cx: MIDDLE, cy: MIDDLE, r: radius * unit, class: "ball-certified" }),
    radius > 0 && spoke(radius * unit),
    ...centre(picture),
  );
}

/**
 * Faint circles at round numbers.
 * @param {number} most
 * @param {number} unit
 */
function scale(most, unit) {
  const step = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1, 2, 5, 10, 20, 50].find(
    (size) => most / size <= 6,
  );
  const drawn = [];
  for (let size = step ?? most; size <= most * 1.0001; size += step ?? most) {
    const r = size * unit;
    drawn.push(svg("circle", { cx: MIDDLE, cy: MIDDLE, r, class: "ball-scale" }));
    if (r > PICTURE * 0.75) drawn.push(svg("text", { x: MIDDLE, y: MIDDLE + r - 4, class: "ball-number" }, short(size)));
  }
  return drawn;
}

/** Circles that mean nothing, where there is no ball. */
const rings = () =>
  [0.5, 0.75, 1].map((share) => svg("circle", { cx: MIDDLE, cy: MIDDLE, r: REACH * share, class: "ball-scale" }));

/** @param {number} r */
function spoke(r) {
  const [x, y] = [MIDDLE + r * Math.SQRT1_2, MIDDLE - r * Math.SQRT1_2];
  return svg(
    "g",
    {},
    svg("line", { x1: MIDDLE, y1: MIDDLE, x2: x, y2: y, class: "ball-spoke" }),
    svg("circle", { cx: x, cy: y, r: 4, class: "ball-tip" }),
  );
}

/** @param {string | null} picture */
function centre(picture) {
  const corner = MIDDLE - PICTURE / 2;
  const frame = { x: corner, y: corner, width: PICTURE, height: PICTURE };
  if (!picture) return [svg("circle", { cx: MIDDLE, cy: MIDDLE, r: 5, class: "ball-tip" })];
  return [
    svg("image", { ...frame, href: picture, class: "ball-picture", preserveAspectRatio: "xMidYMid slice" }),
    svg("rect", { ...frame, class: "ball-frame" }),
  ];
}
