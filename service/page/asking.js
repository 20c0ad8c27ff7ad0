/** From a question to the answer that is shown. */

import { search } from "./api.js";
import { patiently } from "./patience.js";
import { hasProbability } from "./question.js";

/**
 * An answer as it is shown. `below` is the probability that nothing reached: then the results are
 * the nearest ones, whatever theirs.
 * @typedef {import("./api.js").Answer & {below: number}} Shown
 */

/**
 * @param {import("./question.js").Question} question
 * @param {Blob | null} photo  the one of this visit that asks
 * @param {AbortSignal} signal
 * @param {(seconds: number) => void} onWait  told when the service asks to come back later
 * @returns {Promise<Shown>}
 */
export async function ask(question, photo, signal, onWait) {
  const once = (/** @type {import("./question.js").Question} */ asked) =>
    patiently(() => search(asked, photo, signal), signal, onWait);
  const answer = await once(question);
  if (answer.results.length || !question.least || !hasProbability(question)) {
    return { ...withoutItself(question, answer), below: 0 };
  }
  const { next_cursor: _, ...nearest } = await once({ ...question, least: 0 });
  return { ...withoutItself(question, nearest), below: question.least };
}

/**
 * The page of results after another.
 * @param {import("./question.js").Question} question
 * @param {Blob | null} photo
 * @param {AbortSignal} signal
 * @param {string} cursor
 * @param {(seconds: number) => void} onWait
 */
export async function askOn(question, photo, signal, cursor, onWait) {
  const page = await patiently(() => search(question, photo, signal, cursor), signal, onWait);
  return withoutItself(question, page);
}

/**
 * Nobody asks what is like a picture to see the same picture; a part of it may find the whole.
 * @param {import("./question.js").Question} question
 * @param {import("./api.js").Answer} answer
 * @returns {import("./api.js").Answer}
 */
function withoutItself({ picture, find, region }, answer) {
  if (picture === null || find !== "pictures" || region) return answer;
  const itself = answer.results.find(({ id }) => id === picture);
  if (!itself) return answer;
  const results = answer.results
    .filter((result) => result !== itself)
    .map((result) => ({
      ...result,
      rank_before: result.rank_before - Number(result.rank_before > itself.rank_before),
    }));
  return { ...answer, results };
}
