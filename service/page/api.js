/**
 * The REST contract as this page uses it.
 *
 * @typedef {[number, number, number, number]} Box  x0, y0, x1, y1 as fractions of the picture
 * @typedef {{box: Box, weight: number}} Attended
 * @typedef {{text: string, start: number, end: number, score: number, regions: Attended[]}} Word
 * @typedef {{words: Word[], regions: {box: Box, saliency: number}[],
 *            tags: {tag: string, probability: number}[],
 *            concepts: {concept: string, share: number}[]}} Explanation
 * @typedef {{id: string, score: number, probability: number | null, rank_before: number,
 *            stage_scores: Record<string, number | null>, metadata?: Record<string, unknown>,
 *            url?: string, text?: string, explanation?: Explanation}} Result
 * @typedef {{results: Result[], no_match: boolean, took_ms: Record<string, number>,
 *            candidates: number, reranked: number, degraded: boolean,
 *            next_cursor?: string}} Answer
 * @typedef {{id: string, url?: string, text?: string, metadata?: Record<string, unknown>}} Item
 */

import { askForKey, currentKey, fetchWithKey, keyHeaders } from "./key.js";
import { problem, unreachable } from "./problem.js";
import { fieldsOf, filterOf, routeOf } from "./question.js";

/**
 * One page of results.
 * @param {import("./question.js").Question} question
 * @param {Blob | null} photo  the one of this visit that asks
 * @param {AbortSignal} signal
 * @param {string} [cursor]  of the page before
 * @returns {Promise<Answer>}
 */
export function search(question, photo, signal, cursor) {
  const fields = { ...fieldsOf(question), ...(cursor && { cursor }) };
  return send(routeOf(question), {
    method: "POST",
    ...(photo
      ? { body: form(photo, fields) }
      : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(fields) }),
    signal,
  });
}

/**
 * @param {Blob} photo
 * @param {Record<string, unknown>} fields
 */
function form(photo, fields) {
  const made = new FormData();
  made.set("image", photo, photo instanceof File ? photo.name : "photo");
  for (const [name, value] of Object.entries(fields)) {
    made.set(name, typeof value === "object" ? JSON.stringify(value) : String(value));
  }
  return made;
}

/**
 * The tags of the items that carry all of some tags, most frequent first.
 * @param {"image" | "text"} kind
 * @param {string[]} carried
 * @param {AbortSignal} signal
 * @returns {Promise<{tag: string, count: number}[]>}
 */
export async function tagCounts(kind, carried, signal) {
  const asked = new URLSearchParams({ kind });
  if (carried.length) asked.set("filter", JSON.stringify(filterOf(carried)));
  return (await send(`tags?${asked}`, { signal })).tags;
}

/**
 * @param {AbortSignal} signal
 * @returns {Promise<{pictures: number, sentences: number}>}
 */
export async function collectionCounts(signal) {
  const { counts } = await send("stats", { signal });
  return { pictures: counts.image, sentences: counts.text };
}

/**
 * The first items of the collection.
 * @param {"images" | "texts"} room
 * @param {number} limit
 * @param {AbortSignal} signal
 * @returns {Promise<Item[]>}
 */
export async function collectionItems(room, limit, signal) {
  return (await send(`${room}?limit=${limit}`, { signal })).items;
}

/**
 * Adds one picture, reporting how much of it was sent (0 to 1).
 * XMLHttpRequest, because fetch can't tell the progress of what it sends.
 * @param {File} file
 * @param {(sent: number) => void} onProgress
 * @param {AbortSignal} signal
 * @returns {Promise<{id: string, isNew: boolean}>}  isNew: false when the collection had it
 */
export function addPicture(file, onProgress, signal) {
  const fields = form(file, {});
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", new URL("images", document.baseURI));
    const key = currentKey();
    for (const [name, value] of Object.entries(keyHeaders())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onProgress(event.loaded / event.total);
    request.onerror = () => reject(unreachable());
    request.onload = async () => {
      const { status, responseText } = request;
      const id = idIn(responseText);
      if (status === 401 && (await askForKey(key))) resolve(addPicture(file, onProgress, signal));
      else if (status < 300 && id !== null) resolve({ id, isNew: status === 201 });
      else if (status < 300) reject(unreachable());
      else reject(problem(status, responseText, request.getResponseHeader("Retry-After")));
    };
    signal.addEventListener("abort", () => {
      request.abort();
      reject(signal.reason);
    });
    request.send(fields);
  });
}

/**
 * @param {string} text  of an answer
 * @returns {string | null}  null for what a proxy in between answers
 */
function idIn(text) {
  try {
    return JSON.parse(text).id ?? null;
  } catch {
    return null;
  }
}

/**
 * Gives a picture of the collection its title; what else is told of it stays.
 * @param {string} id
 * @param {string} title
 * @param {AbortSignal} signal
 */
export async function namePicture(id, title, signal) {
  await send(`images/${encodeURIComponent(id)}/metadata`, {
    method: "PATCH",
    headers: { "Content-Type": "application/merge-patch+json" },
    body: JSON.stringify({ title }),
    signal,
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
  if (!response.ok) {
    throw problem(response.status, await response.text(), response.headers.get("Retry-After"));
  }
  return response.json();
}
