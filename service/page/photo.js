/** A photo that is asked for its sentences: photo and sentences point at each other. */

import { counted, element } from "./dom.js";
import { Easel } from "./easel.js";
import { attentionAt, focusPlaces } from "./focus.js";
import { sentenceList } from "./sentences.js";
import { timing } from "./timing.js";

const ANSWERS_FROM = 0.6;

export class Photo {
  /** @type {string | null} */
  #url = null;
  /** @type {Map<string, import("./api.js").Word>} */
  #words = new Map();

  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
  }

  /**
   * Shows the photo at once, before its sentences are known.
   * @param {Blob} picture
   * @param {(() => void) | null} onAdd  null when the collection has it already
   */
  preview(picture, onAdd) {
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#url = URL.createObjectURL(picture);
    this.easel = new Easel(this.#url, "Your photo");
    this.easel.element.classList.add("corners", "waiting");
    this.list = element("div", { class: "sentences" });
    const stand = element("div", { class: "stand" }, this.easel.element);
    if (onAdd) {
      stand.append(
        element("button", { type: "button", class: "action", onclick: onAdd }, "Add it to the collection"),
      );
    }
    this.root.replaceChildren(stand, this.list);
  }

  /**
   * @param {import("./api.js").Answer} answer
   * @param {import("./pointing.js").Pointing} pointing  its words are called "rank:start"
   */
  show(answer, pointing) {
    this.settled();
    this.#words = new Map();
    answer.results.forEach((result, rank) => {
      for (const word of result.explanation?.words ?? []) {
        this.#words.set(`${rank}:${word.start}`, word);
      }
    });
    const places = focusPlaces([...this.#words.values()]);
    this.list?.replaceChildren(
      element("div", { class: "verdict" }, ...verdict(answer), timing(answer)),
      sentenceList(answer.results, places, pointing),
    );
    this.easel?.picture.append(...places.map((place, i) => this.#dot(place, i)));
    this.#answerPointer();
    pointing.onChange(() => this.#light(pointing.word));
  }

  /** The search has ended, well or not. */
  settled() {
    this.easel?.element.classList.remove("waiting");
  }

  /**
   * Where a word looked, in px of the window.
   * @param {string} key
   * @returns {import("./sightlines.js").Target[]}
   */
  targets(key) {
    const word = this.#words.get(key);
    return word?.regions.length && this.easel ? [this.easel.target(word.regions)] : [];
  }

  /** @param {string | null} key */
  #light(key) {
    const word = key === null ? null : this.#words.get(key);
    this.easel?.light(word?.regions ?? null);
  }

  /**
   * @param {import("./focus.js").Place} place
   * @param {number} hue
   */
  #dot(place, hue) {
    const label = `Place ${hue + 1}: show the words that look here`;
    const dot = element("button", { type: "button", class: "place", "aria-label": label });
    dot.dataset.hue = String(hue);
    dot.style.setProperty("--x", String(place.x));
    dot.style.setProperty("--y", String(place.y));
    const itsWords = (/** @type {HTMLElement} */ button) => button.dataset.hue === dot.dataset.hue;
    for (const event of ["pointerenter", "focus"]) {
      dot.addEventListener(event, () => this.#answer(itsWords));
    }
    for (const event of ["pointerleave", "blur"]) {
      dot.addEventListener(event, () => this.#answer(null));
    }
    // The photo below would answer for the exact point instead.
    dot.addEventListener("pointermove", (event) => event.stopPropagation());
    dot.addEventListener("pointerdown", (event) => event.stopPropagation());
    return dot;
  }

  /** Pointing at the photo lights the words that looked there. */
  #answerPointer() {
    const picture = this.easel?.picture;
    if (!picture) return;
    const answer = (/** @type {PointerEvent} */ { clientX, clientY }) => {
      const box = picture.getBoundingClientRect();
      const place = { x: (clientX - box.left) / box.width, y: (clientY - box.top) / box.height };
      this.#answer((button) => {
        const word = this.#words.get(button.dataset.word ?? "");
        return word !== undefined && attentionAt(word, place) >= ANSWERS_FROM;
      });
    };
    picture.addEventListener("pointermove", answer);
    picture.addEventListener("pointerdown", answer);
    picture.addEventListener("pointerleave", ({ pointerType }) => {
      if (pointerType !== "touch") this.#answer(null);
    });
  }

  /** @param {((word: HTMLElement) => boolean) | null} answers  null: nothing is asked */
  #answer(answers) {
    this.list?.classList.toggle("answering", answers !== null);
    for (const word of this.list?.querySelectorAll(".word") ?? []) {
      const lit = answers !== null && answers(/** @type {HTMLElement} */ (word));
      word.classList.toggle("answers", lit);
    }
  }
}

/** @param {import("./api.js").Answer} answer */
function verdict({ results, no_match: noMatch }) {
  if (results.length === 0) {
    return [
      element("h2", {}, "No sentences to search yet"),
      element("p", {}, "The collection holds pictures only. Sentences are added through the API."),
    ];
  }
  if (noMatch) {
    return [
      element("h2", {}, "No sentence here matches well"),
      element("p", {}, "These come closest, but the model doubts every one of them."),
    ];
  }
  return [
    element("h2", {}, counted(results.length, "sentence", "sentences"), element("span", {}, ", best match first")),
    element("p", {}, "Each word wears the colour of the place that it looks at. Point at a word, or at the photo."),
  ];
}
