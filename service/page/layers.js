/** The layer scores of one result, among those of the other results. */

import { decimal, element } from "./dom.js";

/** @type {[string, string, string][]} */
const LAYERS = [
  ["global", "Whole", "the sentence against the whole picture"],
  ["entity", "Things", "each word against the regions"],
  ["relation", "Relations", "phrases against neighbouring regions"],
  ["semantic", "Topics", "what both sides are about, as tags"],
  ["concept", "Concepts", "known things that both show or name"],
];

/**
 * @param {Record<string, number | null>} scores  null where the re-ranker did not score
 * @param {Record<string, number | null>[]} others  stage scores of all results, this one among them
 */
export function layerBars(scores, others) {
  const rows = LAYERS.flatMap(([layer, name, meaning]) => {
    const score = scores[layer];
    if (score === null) return [];
    const all = others.flatMap((other) => other[layer] ?? []);
    const low = Math.min(0, ...all);
    const span = Math.max(...all, 0) - low || 1;
    const track = element("span", { class: "track", "aria-hidden": "true" });
    for (const value of all) track.append(mark("tick", (value - low) / span));
    const bar = mark("bar", (score - low) / span);
    bar.style.setProperty("--zero", String(-low / span));
    track.append(bar, mark("here", (score - low) / span));
    return element(
      "li",
      {},
      element("span", { class: "name" }, name),
      track,
      element("span", { class: "value" }, decimal(score)),
      element("small", {}, meaning),
    );
  });
  return element("ul", { class: "layers" }, ...rows);
}

/**
 * @param {string} kind
 * @param {number} part  of the track, 0..1
 */
function mark(kind, part) {
  const made = element("i", { class: kind });
  made.style.setProperty("--part", String(part));
  return made;
}
