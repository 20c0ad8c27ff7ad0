/**
 * What is asked, as one value that never changes: a new question is a new object. Pure.
 *
 * @typedef {object} Question
 * @property {string} text  the sentence; empty when only a picture asks
 * @property {string} exclude  a sentence for what the results should not show
 * @property {string[]} tags  that every result carries
 * @property {string | null} picture  id of a picture of the collection that asks
 * @property {string | null} photo  name of a photo of this visit that asks
 * @property {import("./api.js").Box | null} region  the part of the picture that asks
 * @property {"sentences" | "pictures"} find  what is found for a picture
 * @property {number | null} depth  candidates to re-rank; 0: none, null: as the service does
 * @property {number} least  probability that a result has to reach, 0..1
 */

const PICTURES = 24;
const SENTENCES = 12;

/** @type {Readonly<Question>} */
export const EMPTY = Object.freeze({
  text: "",
  exclude: "",
  tags: [],
  picture: null,
  photo: null,
  region: null,
  find: "sentences",
  depth: null,
  least: 0,
});

/** @param {Question} question */
export function hasPicture({ picture, photo }) {
  return picture !== null || photo !== null;
}

/** @param {Question} question */
export function isEmpty(question) {
  return !question.text && !hasPicture(question);
}

/** @param {Question} question */
export function findsSentences(question) {
  return hasPicture(question) && question.find === "sentences";
}

/**
 * Whether results have a probability: they do where sentence and picture meet.
 * @param {Question} question
 */
export function hasProbability(question) {
  return question.text !== "" || findsSentences(question);
}

/**
 * Whether what is found are other pictures than the one that asks: nobody asks what is like a
 * picture to see the same picture. A part of it may find the whole.
 * @param {Question} question
 */
export function findsOthers({ picture, find, region }) {
  return picture !== null && find === "pictures" && !region;
}

/**
 * Whether there is anything to re-rank by: between pictures alone only words that are left out.
 * @param {Question} question
 */
export function canBeReranked(question) {
  return !hasPicture(question) || hasProbability(question) || question.exclude !== "";
}

/**
 * Whether two questions ask the same and differ only in how it is looked for.
 * @param {Question} a
 * @param {Question} b
 */
export function sameButRefined(a, b) {
  return (
    a.text === b.text &&
    a.picture === b.picture &&
    a.photo === b.photo &&
    a.find === b.find &&
    String(a.region) === String(b.region)
  );
}

/**
 * The filter of the REST contract; undefined when nothing is filtered.
 * @param {string[]} tags
 */
export function filterOf(tags) {
  const filters = tags.map((tag) => ({ tag }));
  return filters.length > 1 ? { and: filters } : filters[0];
}

/** @param {Question} question */
export function routeOf(question) {
  if (!hasPicture(question)) return "search/text-to-image";
  return findsSentences(question) ? "search/image-to-text" : "search/image-to-image";
}

/**
 * The fields of the search, as the REST contract names them. A photo of this visit is not among
 * them: it travels as a file.
 * @param {Question} question
 * @returns {Record<string, unknown>}
 */
export function fieldsOf(question) {
  const { text, exclude, tags, picture, region, depth, least } = question;
  const page = findsSentences(question) ? SENTENCES : PICTURES;
  return {
    // The service hands at least k candidates on, so a shallow search has short pages.
    k: Math.min(page, depth || page),
    explain: true,
    ...(text && { query: text }),
    ...(exclude && { exclude }),
    ...(tags.length && { filter: filterOf(tags) }),
    ...(picture !== null && { image_id: picture }),
    ...(region && hasPicture(question) && { region }),
    ...(depth === 0 && { rerank: false }),
    ...(depth && { candidates: depth }),
    ...(least && hasProbability(question) && { min_probability: least }),
  };
}
