/** Coming back after the time that a busy service named. */

import { ProblemError } from "./problem.js";

const ATTEMPTS = 6;

/**
 * Tries until it works. A 503 with Retry-After is waited for; everything else is thrown, and so is
 * the last 503.
 * @template T
 * @param {() => Promise<T>} attempt
 * @param {AbortSignal} signal  ends the waiting
 * @param {(seconds: number) => void} onWait  told before each waiting
 * @returns {Promise<T>}
 */
export async function patiently(attempt, signal, onWait) {
  for (let left = ATTEMPTS; ; left--) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof ProblemError) || error.retryAfter === null || left <= 1) throw error;
      onWait(error.retryAfter);
      await passed(error.retryAfter, signal);
    }
  }
}

/**
 * @param {number} seconds
 * @param {AbortSignal} signal
 */
function passed(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
