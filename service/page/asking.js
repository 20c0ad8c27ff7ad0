/** From a question to the answer that is shown. */

import { search } from "./api.js";
import { patiently } from "./patience.js";
import { findsOthers, hasProbability } from "./question.js";

/**
 * An answer as it is shown. `below` is the probability that nothing reached: then the results are
 * the nearest ones, whatever theirs. `itself` is where the first stage had the picture that asks,
 * once a page has held it.
 * @typedef {import("./api.js").Answer & {itself: number | null}} Page
 * @typedef {Page & {below: number}} Shown
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
 * The page of results after those that are shown.
 * @param {import("./question.js").Question} question
 * @param {Blob | null} photo
 * @param {AbortSignal} signal
 * @param {Shown} shown
 * @param {(seconds: number) => void} onWait
 */
export async function askOn(question, photo, signal, { next_cursor: cursor, itself }, onWait) {
  const page = await patiently(() => search(question, photo, signal, cursor), signal, onWait);
  return withoutItself(question, page, itself);
}

/**
 * Leaves out the picture that asks; the ranks are then those among the others.
 * @param {import("./question.js").Question} question
 * @param {import("./api.js").Answer} answer
 * @param {number | null} [known]  where the first stage had it, if an earlier page held it
 * @returns {Page}
 */
function withoutItself(question, answer, known = null) {
  if (!findsOthers(question)) return { ...answer, itself: null };
  const found = answer.results.find(({ id }) => id === question.picture);
  const itself = found?.rank_before ?? known;
  const results = answer.results
    .filter((result) => result !== found)
    .map((result) => ({
      ...result,
      rank_before: result.rank_before - Number(itself !== null && result.rank_before > itself),
    }));
  return { ...answer, results, itself };
}
