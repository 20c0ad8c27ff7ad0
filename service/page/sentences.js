/** The sentences found for a photo, each word in the colour of the place it looks at. */

import { pieces } from "./codepoints.js";
import { element, percent } from "./dom.js";
import { placeOf } from "./focus.js";
import { roving, wordButton } from "./words.js";

/** An empty list whose words the arrow keys walk through. */
export function sentenceList() {
  const list = element("ol", { "aria-label": "Sentences, best match first" });
  roving(list, ".word");
  return list;
}

/**
 * @param {import("./api.js").Result[]} results
 * @param {{places: import("./focus.js").Place[], strongest: number, first: number}} looks
 *   strongest: score of the strongest word of all; first: how many sentences stand before
 * @param {import("./pointing.js").Pointing} pointing
 * @param {(text: string) => void} onSentence  a sentence is to find its pictures
 * @returns {HTMLElement[]}
 */
export function sentenceItems(results, { places, strongest, first }, pointing, onSentence) {
  return results.map((result, i) => {
    const text = result.text ?? "";
    const words = pieces(text, result.explanation?.words ?? []).map((piece, at) =>
      piece.word
        ? coloured(piece.text, piece.word, `${first + i}:${piece.word.start}`, first + i + at === 0)
        : piece.text,
    );
    const meter = element("span", { class: "meter", "aria-hidden": "true" });
    meter.style.setProperty("--part", String(result.probability ?? 0));
    const pictures = element(
      "button",
      { type: "button", class: "quiet", "aria-label": `Find pictures for: ${text}`, onclick: () => onSentence(text) },
      "Find pictures",
    );
    return element(
      "li",
      {},
      element("p", { class: "sentence" }, ...words),
      element("p", { class: "caption" }, element("span", { class: "probability" }, percent(result.probability ?? 0)), meter, pictures),
    );
  });

  /**
   * @param {string} text
   * @param {import("./api.js").Word} word
   * @param {string} key
   * @param {boolean} isFirst  of all: the one stop of the Tab key
   */
  function coloured(text, word, key, isFirst) {
    const button = wordButton(text, key, pointing);
    const place = placeOf(word, places);
    if (place >= 0) button.dataset.hue = String(place);
    button.style.setProperty("--strength", String(Math.max(word.score, 0) / strongest));
    button.tabIndex = isFirst ? 0 : -1;
    return button;
  }
}
