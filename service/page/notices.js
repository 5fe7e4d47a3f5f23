/** What is said aside: problems, countdowns, and announcements to those who listen. */

import { NetworkError, ProblemError } from "./api.js";
import { byId, fill, h } from "./dom.js";

const QUIET_MS = 5000;
let spoken = 0;
let said = "";
/** @type {number | undefined} */
let pending;

/**
 * Says something to screen readers: at once if it matters, else every five seconds at most.
 * @param {string} words
 * @param {boolean} [urgent]
 */
export function announce(words, urgent = false) {
  clearTimeout(pending);
  if (words === said) return;
  const wait = urgent ? 0 : Math.max(0, spoken + QUIET_MS - Date.now());
  pending = setTimeout(() => {
    spoken = Date.now();
    said = words;
    byId("announcer", HTMLElement).textContent = words;
  }, wait);
}

/**
 * A problem in words.
 * @param {unknown} error
 * @returns {HTMLElement}
 */
export function explain(error) {
  if (error instanceof ProblemError) {
    const { title, detail, code, status, errors } = error.problem;
    const others = errors.filter(({ message }) => message !== detail);
    return h(
      "div",
      { class: "problem" },
      h("p", { class: "problem-title" }, title),
      h("p", {}, detail),
      others.length > 1 && h("ul", {}, ...others.map(({ message }) => h("li", {}, message))),
      h("p", { class: "note" }, `${code || "status"} (${status})`),
    );
  }
  const words = error instanceof NetworkError ? error.message : "An error occurred in this page.";
  if (!(error instanceof NetworkError)) console.error(error);
  return h("div", { class: "problem" }, h("p", { class: "problem-title" }, words));
}

/**
 * Shows a problem, and tries again when the API says so or the user does.
 * @param {HTMLElement} place
 * @param {unknown} error
 * @param {() => void} again
 */
export function offerAgain(place, error, again) {
  const words = h("span", {});
  /** @type {number | undefined} */
  let timer;
  const act = () => {
    clearInterval(timer);
    place.hidden = true;
    fill(place);
    again();
  };
  const stop = h("button", { type: "button", class: "quiet", click: () => (clearInterval(timer), stop.remove(), fill(words)) }, "Stop trying");
  const pause = error instanceof ProblemError && error.later ? error.retryAfter : null;
  fill(
    place,
    explain(error),
    h("div", { class: "buttons" }, h("button", { type: "button", class: "quiet", click: act }, "Try again now"), pause !== null && stop, words),
  );
  place.hidden = false;
  if (pause === null) return;
  let left = pause;
  const tick = () => {
    if (!place.isConnected || place.hidden) return clearInterval(timer);
    if (left <= 0) return act();
    fill(words, `Trying again in ${left} s`);
    left -= 1;
  };
  timer = setInterval(tick, 1000);
  tick();
}
