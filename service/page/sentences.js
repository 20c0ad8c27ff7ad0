/** The sentences found for a photo, each word in the colour of the place it looks at. */

import { pieces } from "./codepoints.js";
import { element, percent } from "./dom.js";
import { placeOf } from "./focus.js";
import { roving, wordButton } from "./words.js";

/**
 * @param {import("./api.js").Result[]} results
 * @param {import("./focus.js").Place[]} places
 * @param {import("./pointing.js").Pointing} pointing
 */
export function sentenceList(results, places, pointing) {
  const scores = results.flatMap((result) => result.explanation?.words ?? []).map(({ score }) => score);
  const most = Math.max(...scores, 1e-9);
  const list = element("ol", { "aria-label": "Sentences, best match first" });
  results.forEach((result, rank) => {
    const words = pieces(result.text ?? "", result.explanation?.words ?? []).map(
      ({ text, word }) => {
        if (!word) return text;
        const button = wordButton(text, `${rank}:${word.start}`, pointing);
        const place = placeOf(word, places);
        if (place >= 0) button.dataset.hue = String(place);
        button.style.setProperty("--strength", String(Math.max(word.score, 0) / most));
        return button;
      },
    );
    const meter = element("span", { class: "meter", "aria-hidden": "true" });
    meter.style.setProperty("--part", String(result.probability));
    list.append(
      element(
        "li",
        {},
        element("p", { class: "sentence" }, ...words),
        element("p", { class: "caption" }, element("span", { class: "probability" }, percent(result.probability)), meter),
      ),
    );
  });
  roving(list, ".word");
  return list;
}
