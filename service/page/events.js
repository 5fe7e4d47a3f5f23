/** Server-sent events by `fetch`, since `EventSource` can send no key; lost connections are taken up again. */

import { ProblemError, request } from "./api.js";

/** @typedef {import("./types.js").Job} Job */
/** @typedef {import("./types.js").Step} Step */
/** @typedef {{ name: string, id: string, data: string }} Event_ */

const SILENCE_MS = 30_000; // the API says something every 15 seconds
const LONGEST_PAUSE = 15;

/**
 * Follows a job to its end, over as many connections as it takes.
 * @param {string} jobId
 * @param {AbortSignal} signal
 * @param {(seconds: number | null) => void} lost called with the pause when the connection is lost, and with null when it is back
 * @returns {AsyncGenerator<Step | Job>} its steps, then the job as it ended
 * @throws {ProblemError} the API refuses, and will go on refusing
 */
export async function* follow(jobId, signal, lost) {
  let last = "";
  for (let failures = 0; ; ) {
    let pause = null;
    try {
      for await (const event of connect(jobId, last, signal)) {
        if (failures) lost(null);
        failures = 0;
        if (event.name === "job") {
          yield /** @type {Job} */ (JSON.parse(event.data));
          return;
        }
        if (event.name !== "progress") continue;
        last = event.id;
        yield { id: event.id, time: Number(event.id.split("-")[0]), progress: JSON.parse(event.data) };
      }
    } catch (error) {
      if (signal.aborted) throw error;
      if (error instanceof ProblemError) {
        if (error.problem.status < 500 && !error.later) throw error;
        pause = error.retryAfter;
      }
    }
    pause ??= Math.min(LONGEST_PAUSE, 0.5 * 2 ** failures) * (0.75 + Math.random() / 2);
    failures += 1;
    lost(pause);
    await sleep(pause, signal);
  }
}

/**
 * One connection. A silent one is given up.
 * @param {string} jobId
 * @param {string} last id of the last event that was seen
 * @param {AbortSignal} signal
 * @returns {AsyncGenerator<Event_>}
 */
async function* connect(jobId, last, signal) {
  const controller = new AbortController();
  const abort = () => controller.abort();
  signal.addEventListener("abort", abort);
  let watchdog = setTimeout(abort, SILENCE_MS);
  try {
    /** @type {Record<string, string>} */
    const headers = { Accept: "text/event-stream" };
    if (last) headers["Last-Event-ID"] = last;
    const response = await request(`jobs/${jobId}/events`, {
      headers,
      signal: controller.signal,
      cache: "no-store",
    });
    if (!response.body) return;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let buffer = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(watchdog);
      watchdog = setTimeout(abort, SILENCE_MS);
      const blocks = (buffer + value).split(/\r\n\r\n|\n\n/);
      buffer = blocks.pop() ?? "";
      for (const block of blocks) yield parse(block);
    }
  } finally {
    clearTimeout(watchdog);
    signal.removeEventListener("abort", abort);
    controller.abort();
  }
}

/**
 * One event: lines of "field: value".
 * @param {string} block
 * @returns {Event_}
 */
export function parse(block) {
  const event = { name: "message", id: "", data: "" };
  for (const line of block.split(/\r?\n/)) {
    const [, field, value = ""] = /^([a-z]+)(?:: ?(.*))?$/.exec(line) ?? [];
    if (field === "event") event.name = value;
    else if (field === "id") event.id = value;
    else if (field === "data") event.data += event.data ? `\n${value}` : value;
  }
  return event;
}

/**
 * @param {number} seconds
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
export function sleep(seconds, signal) {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });
}
