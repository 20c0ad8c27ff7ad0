/** What a changed setting did to the results: which moved, which came, which dropped out. */

import { counted, element } from "./dom.js";
import { showPicture } from "./picture.js";
import { titleOf } from "./titles.js";

/**
 * @typedef {{up: number, down: number, came: number,
 *            dropped: import("./api.js").Result[]}} Changes
 */

/**
 * Compares two rankings. Pure.
 * @param {import("./api.js").Result[]} before
 * @param {import("./api.js").Result[]} after
 * @returns {Changes}
 */
export function compare(before, after) {
  const places = new Map(before.map(({ id }, place) => [id, place]));
  const kept = new Set(after.map(({ id }) => id));
  const moves = after.map(({ id }, place) => (places.get(id) ?? NaN) - place);
  return {
    up: moves.filter((move) => move > 0).length,
    down: moves.filter((move) => move < 0).length,
    came: moves.filter(Number.isNaN).length,
    dropped: before.filter(({ id }) => !kept.has(id)),
  };
}

/**
 * The same in one sentence; says so when nothing changed.
 * @param {Changes} changes
 */
export function told({ up, down, came, dropped }) {
  const parts = [
    up && `${up} moved up`,
    down && `${down} moved down`,
    came && `${came} came in`,
    dropped.length && `${counted(dropped.length, "result", "results")} dropped out`,
  ].filter(Boolean);
  return parts.length ? parts.join(", ") : "The order stayed the same";
}

/**
 * For the eye: the sentence, and the pictures that dropped out.
 * @param {Changes} changes
 */
export function changesLine(changes) {
  const pictures = changes.dropped.filter(({ url }) => url);
  const gone = pictures.map((result) => {
    const image = element("img", { alt: titleOf(result) || result.id });
    showPicture(image, result.url ?? "");
    return element("li", {}, image);
  });
  return element(
    "div",
    { class: "changes" },
    element("p", {}, told(changes)),
    ...(gone.length ? [element("ul", { class: "dropped", "aria-label": "Dropped out" }, ...gone)] : []),
  );
}

/**
 * How far the second stage moved a result, as a small mark; nothing where it wasn't scored.
 * @param {import("./api.js").Result} result
 * @param {number} rank  from 1
 * @returns {{mark: string, words: string}}
 */
export function movement({ rank_before: before, stage_scores: scores }, rank) {
  if (scores.entity === null || before === rank) return { mark: "", words: "" };
  const steps = Math.abs(before - rank);
  return before > rank
    ? { mark: `\u2191${steps}`, words: `up ${steps}` }
    : { mark: `\u2193${steps}`, words: `down ${steps}` };
}
