/**
 * The REST contract as this page uses it, and its errors in words.
 *
 * @typedef {[number, number, number, number]} Box  x0, y0, x1, y1 as fractions of the picture
 * @typedef {{box: Box, weight: number}} Attended
 * @typedef {{text: string, start: number, end: number, score: number, regions: Attended[]}} Word
 * @typedef {{words: Word[], regions: {box: Box, saliency: number}[],
 *            tags: {tag: string, probability: number}[],
 *            concepts: {concept: string, share: number}[]}} Explanation
 * @typedef {{id: string, score: number, probability: number, rank_before: number,
 *            stage_scores: Record<string, number | null>, metadata?: Record<string, unknown>,
 *            url?: string, text?: string, explanation?: Explanation}} Result
 * @typedef {{results: Result[], no_match: boolean, took_ms: Record<string, number>,
 *            candidates: number, reranked: number, degraded: boolean}} Answer
 * @typedef {{id: string, url?: string, text?: string, metadata?: Record<string, unknown>}} Item
 */

import { askForKey, currentKey, fetchWithKey, keyHeaders } from "./key.js";

/** What the service refused, with its problem details (RFC 9457). */
export class ProblemError extends Error {
  /**
   * @param {number} status  HTTP status; 0 when no answer came
   * @param {string} message  one or more sentences for a person
   */
  constructor(status, message) {
    super(message);
    this.name = "ProblemError";
    this.status = status;
  }
}

/**
 * Pictures for a sentence.
 * @param {string} query
 * @param {number} k
 * @param {AbortSignal} signal
 * @returns {Promise<Answer>}
 */
export function searchPictures(query, k, signal) {
  return send("search/text-to-image", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ query, k, explain: true }),
    signal,
  });
}

/**
 * Sentences for a picture.
 * @param {Blob} picture
 * @param {number} k
 * @param {AbortSignal} signal
 * @returns {Promise<Answer>}
 */
export function searchSentences(picture, k, signal) {
  const form = new FormData();
  form.set("image", picture, picture instanceof File ? picture.name : "photo");
  form.set("k", String(k));
  form.set("explain", "true");
  return send("search/image-to-text", { method: "POST", body: form, signal });
}

/** @returns {Promise<{pictures: number, sentences: number}>} */
export async function collectionCounts() {
  const { counts } = await send("stats");
  return { pictures: counts.image, sentences: counts.text };
}

/**
 * The first items of the collection.
 * @param {"images" | "texts"} room
 * @param {number} limit
 * @returns {Promise<Item[]>}
 */
export async function collectionItems(room, limit) {
  return (await send(`${room}?limit=${limit}`)).items;
}

/**
 * Adds one picture, reporting how much of it was sent (0 to 1).
 * XMLHttpRequest, because fetch can't tell the progress of what it sends.
 * @param {File} file
 * @param {(sent: number) => void} onProgress
 * @returns {Promise<boolean>} true when new, false when the collection had it
 */
export function addPicture(file, onProgress) {
  const form = new FormData();
  form.set("image", file, file.name);
  form.set("metadata", JSON.stringify({ title: file.name.replace(/\.[^.]+$/, "") }));
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", new URL("images", document.baseURI));
    const key = currentKey();
    for (const [name, value] of Object.entries(keyHeaders())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onProgress(event.loaded / event.total);
    request.onerror = () => reject(unreachable());
    request.onload = async () => {
      if (request.status === 401 && (await askForKey(key))) resolve(addPicture(file, onProgress));
      else if (request.status < 300) resolve(request.status === 201);
      else reject(problem(request.status, request.responseText));
    };
    request.send(form);
  });
}

/**
 * @param {string} path  relative, so that the page also works below a prefix
 * @param {RequestInit} [options]
 * @returns {Promise<any>}
 */
async function send(path, options) {
  let response;
  try {
    response = await fetchWithKey(new URL(path, document.baseURI), options);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw unreachable();
  }
  if (!response.ok) throw problem(response.status, await response.text());
  return response.json();
}

function unreachable() {
  return new ProblemError(0, "The service does not answer. Is it still running?");
}

/**
 * Problem details as sentences.
 * @param {number} status
 * @param {string} body
 */
function problem(status, body) {
  let details;
  try {
    details = JSON.parse(body);
  } catch {
    return new ProblemError(status, `The service answered ${status} without saying why.`);
  }
  /** @type {string[]} */
  const fields = (details.errors ?? []).map(
    (/** @type {{pointer: string, detail: string}} */ { pointer, detail }) =>
      `${pointer.slice(1)}: ${detail}`,
  );
  const told = fields.length ? fields : [details.detail ?? details.title].filter(Boolean);
  return new ProblemError(status, told.map(sentence).join(" ") || `The service answered ${status}.`);
}

/** @param {string} text */
function sentence(text) {
  const upper = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(upper) ? upper : `${upper}.`;
}
