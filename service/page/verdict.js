/** What an answer amounts to, in words: above the results, and for screen readers. */

import { chance, counted, element } from "./dom.js";
import { findsOthers, findsSentences, hasProbability } from "./question.js";

/**
 * @param {import("./question.js").Question} question
 * @param {import("./asking.js").Shown} answer
 * @returns {Node[]}
 */
export function verdict(question, answer) {
  const [heading, rest, explained] = words(question, answer);
  return [
    element("h2", {}, heading, ...(rest ? [element("span", {}, rest)] : [])),
    element("p", {}, explained),
  ];
}

/** Whether the answer has to be taken with doubt. @param {import("./asking.js").Shown} answer */
export function isFaint({ results, no_match: noMatch, below }) {
  return results.length > 0 && (noMatch || below > 0);
}

/**
 * @param {import("./question.js").Question} question
 * @param {import("./asking.js").Shown} answer
 * @returns {[string, string, string]}  heading, its lighter part, explanation
 */
function words(question, answer) {
  const { results, below, next_cursor: more } = answer;
  const sentences = findsSentences(question);
  const thing = sentences ? "sentence" : "picture";
  if (results.length === 0) return nothing(question, thing);
  if (below) {
    const least = `${Math.round(below * 100)}\u202f%`;
    return [`No ${thing} reaches ${least}`, "", `These come closest; the best reaches ${best(answer)}.`];
  }
  if (answer.no_match) {
    const heading = sentences ? "No sentence here matches well" : "Nothing here matches well";
    return [heading, "", "These come closest, but the model doubts every one of them."];
  }
  const count = `${counted(results.length, thing, `${thing}s`)}${more ? " so far" : ""}`;
  if (!hasProbability(question)) {
    return [count, ", most alike first", "The figure is the likeness of the whole pictures, 1 at most."];
  }
  return [
    count,
    ", best match first",
    sentences
      ? "Each word wears the colour of the place that it looks at. Point at a word, or at the photo."
      : "The percentage is the model's own estimate that the sentence describes the picture.",
  ];
}

/**
 * @param {import("./question.js").Question} question
 * @param {string} thing
 * @returns {[string, string, string]}
 */
function nothing(question, thing) {
  const { tags } = question;
  const other = findsOthers(question) ? "other " : "";
  if (tags.length) {
    return [`No ${other}${thing} carries ${tags.join(" and ")}`, "", "Take a tag away to see more."];
  }
  return thing === "picture"
    ? [`No ${other}pictures to search yet`, "", "Add some photos, then ask again."]
    : ["No sentences to search yet", "", "The collection holds pictures only. Sentences are added through the API."];
}

/**
 * The same in one or two sentences, for screen readers.
 * @param {import("./question.js").Question} question
 * @param {import("./asking.js").Shown} answer
 */
export function spoken(question, answer) {
  const [heading, rest] = words(question, answer);
  if (answer.results.length === 0) return `${heading}.`;
  return `${heading}${rest}. Best match ${best(answer)}.`;
}

/** @param {import("./api.js").Answer} answer */
function best({ results: [first] }) {
  return first.probability === null ? `likeness ${chance(first)}` : chance(first);
}
