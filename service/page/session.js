/** The jobs of this browser session, so that one can go back to them. Gone when the tab is closed. */

import { byId, fill, h } from "./dom.js";

/** @typedef {import("./types.js").Remembered} Remembered */

const KEPT_AS = "radii.jobs";
const MOST = 20;
const LARGEST_PICTURE = 200_000; // characters; a session holds about five million

/** @returns {Remembered[]} the latest first */
export function remembered() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT_AS) ?? "[]");
  } catch {
    return [];
  }
}

/**
 * @param {string} id
 * @returns {Remembered | undefined}
 */
export const recall = (id) => remembered().find((job) => job.id === id);

/**
 * Adds a job, or changes what is known of it.
 * @param {string} id
 * @param {Partial<Remembered>} news
 */
export function remember(id, news) {
  const jobs = remembered();
  const before = jobs.find((job) => job.id === id);
  const job = { id, model: "", created: new Date().toISOString(), words: "", certificate: false, picture: null, norm: "", ...before, ...news };
  if ((job.picture?.length ?? 0) > LARGEST_PICTURE) job.picture = null;
  const others = jobs.filter((other) => other.id !== id);
  const list = before ? jobs.map((other) => (other.id === id ? job : other)) : [job, ...others].slice(0, MOST);
  try {
    sessionStorage.setItem(KEPT_AS, JSON.stringify(list));
  } catch {
    return; // full or forbidden: the list is a convenience
  }
  showRemembered();
}

/** Shows the list. */
export function showRemembered() {
  const jobs = remembered();
  byId("history", HTMLElement).hidden = !jobs.length;
  fill(
    byId("history-list", HTMLElement),
    ...jobs.map((job) =>
      h(
        "li",
        {},
        h(
          "a",
          { href: `#/${job.certificate ? "certificates" : "jobs"}/${job.id}` },
          job.picture ? h("img", { src: job.picture, alt: "", width: 40, height: 40 }) : h("span", { class: "no-picture", "aria-hidden": "true" }, "?"),
          h("span", {}, h("b", {}, job.words), h("span", { class: "note" }, `${job.model}, ${new Date(job.created).toLocaleTimeString("en")}`)),
        ),
      ),
    ),
  );
}
