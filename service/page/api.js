/** Requests to the API: the key, problems, and what to do when it says "later". */

import { askForKey, storedKey } from "./key.js";

/** @typedef {import("./types.js").Problem} Problem */

const LATER = new Set([429, 503]);

/** The API refused, and said why. */
export class ProblemError extends Error {
  /**
   * @param {Problem} problem
   * @param {number | null} retryAfter seconds
   */
  constructor(problem, retryAfter) {
    super(`${problem.title}: ${problem.detail}`);
    this.problem = problem;
    this.retryAfter = retryAfter;
  }

  /** Whether the same request may succeed later. */
  get later() {
    return LATER.has(this.problem.status);
  }
}

/** No answer came. */
export class NetworkError extends Error {}

/**
 * Asks the API; a 401 asks the user for a key and tries again.
 * @param {string} path relative to the page
 * @param {RequestInit} [init]
 * @returns {Promise<Response>} a 2xx
 * @throws {ProblemError | NetworkError}
 */
export async function request(path, init = {}) {
  for (;;) {
    const key = storedKey();
    const headers = new Headers(init.headers);
    if (key) headers.set("X-API-Key", key);
    const response = await send(path, { ...init, headers });
    if (response.ok) return response;
    const error = new ProblemError(await readProblem(response), retryAfter(response));
    if (response.status !== 401) throw error;
    // Another request may have asked meanwhile; then its key is tried first.
    if (storedKey() === key && !(await askForKey(key ? error.problem.detail : ""))) throw error;
  }
}

/**
 * Asks for JSON.
 * @template T
 * @param {string} path
 * @param {RequestInit} [init]
 * @returns {Promise<T>}
 */
export async function ask(path, init) {
  return (await request(path, init)).json();
}

/**
 * @param {string} path
 * @param {RequestInit} init
 */
async function send(path, init) {
  try {
    return await fetch(path, { credentials: "same-origin", ...init });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new NetworkError("The service cannot be reached.");
  }
}

/**
 * @param {Response} response
 * @returns {Promise<Problem>}
 */
async function readProblem(response) {
  const fallback = {
    type: "about:blank",
    title: response.statusText || "The request failed",
    status: response.status,
    detail: `The service answered with status ${response.status}.`,
    code: "",
    errors: [],
  };
  try {
    return { ...fallback, ...(await response.json()) };
  } catch {
    return fallback; // a proxy's answer, perhaps
  }
}

/**
 * @param {Response} response
 * @returns {number | null} seconds
 */
function retryAfter(response) {
  const text = response.headers.get("Retry-After");
  if (text === null) return null;
  const seconds = /^\d+$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(1, Math.ceil(seconds)) : null;
}
