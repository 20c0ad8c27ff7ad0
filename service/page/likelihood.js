/** A probability in words. Pure. */

/** @type {[number, string][]} */
const WORDS = [
  [0.9, "almost certainly"],
  [0.6, "probably"],
  [0.4, "as likely as not"],
  [0.2, "possibly, but probably not"],
  [0.05, "hardly"],
  [0, "almost certainly not"],
];

/** @param {number} probability */
export function likelihood(probability) {
  const [, words] = /** @type {[number, string]} */ (WORDS.find(([least]) => probability >= least));
  return words;
}
