/** A photo that asks: what is found stands beside it, and photo and sentences point at each other. */

import { element } from "./dom.js";
import { attentionAt, focusPlaces } from "./focus.js";
import { keepFocus } from "./keyboard.js";
import { sentenceItems, sentenceList } from "./sentences.js";
import { Stand } from "./stand.js";

const ANSWERS_FROM = 0.6;

export class Photo {
  /** @type {Map<string, import("./api.js").Word>} */
  #words = new Map();
  /** @type {import("./focus.js").Place[]} */
  #places = [];
  /** @type {import("./pointing.js").Pointing | null} */
  #pointing = null;
  #count = 0;
  #strongest = 0;

  /**
   * @param {HTMLElement} root
   * @param {HTMLElement} pictures  where pictures like the photo are shown
   * @param {HTMLElement} more  stands below the sentences
   * @param {{onRegion: (box: import("./api.js").Box | null) => void, onRemove: () => void,
   *          onFind: (find: "sentences" | "pictures") => void,
   *          onSentence: (text: string) => void}} listeners
   */
  constructor(root, pictures, more, listeners) {
    this.listeners = listeners;
    this.stand = new Stand(listeners);
    this.pictures = pictures;
    this.kinds = element(
      "div",
      { class: "kinds", role: "group", "aria-label": "What to find" },
      this.#kind("sentences", "Its sentences"),
      this.#kind("pictures", "Pictures like it"),
    );
    this.verdict = element("div", { class: "verdict" });
    this.list = element("ol", { "aria-label": "Sentences, best match first" });
    this.sentences = element("div", { class: "sentences" }, this.verdict, this.list, more);
    root.append(this.stand.element, element("div", { class: "found" }, this.kinds, this.sentences, pictures));
  }

  /**
   * Shows the photo at once, before its results are known; those of the same photo stay.
   * @param {import("./stand.js").Source} source
   * @param {import("./question.js").Question} question
   */
  preview(source, { find, region }) {
    const isOther = this.stand.key !== source.key;
    if (this.stand.show(source)) this.#answerPointer();
    if (isOther) {
      this.verdict.replaceChildren();
      this.list.replaceChildren();
      this.pictures.hidden = true;
    }
    this.stand.showRegion(region);
    for (const button of this.kinds.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset.find === find));
    }
  }

  /** Shows which kind of result is there. @param {"sentences" | "pictures"} find */
  showKind(find) {
    this.sentences.hidden = find !== "sentences";
    this.pictures.hidden = find !== "pictures";
    if (find === "pictures") this.#forget();
  }

  /**
   * @param {import("./api.js").Result[]} results
   * @param {import("./pointing.js").Pointing} pointing  its words are called "rank:start"
   */
  showSentences(results, pointing) {
    this.settled();
    this.#forget();
    this.#pointing = pointing;
    const scores = results.flatMap(({ explanation }) => explanation?.words ?? []).map(({ score }) => score);
    this.#strongest = Math.max(...scores, 1e-9);
    this.#remember(results);
    this.#places = focusPlaces([...this.#words.values()]);
    keepFocus(
      () => this.list.querySelectorAll("button"),
      () => {
        const list = sentenceList();
        this.list.replaceWith(list);
        this.list = list;
        this.#add(results, pointing);
      },
    );
    this.stand.easel.picture.append(...this.#places.map((place, i) => this.#dot(place, i)));
    pointing.onChange(() => this.#light(pointing.word));
  }

  /**
   * Adds the next page.
   * @param {import("./api.js").Result[]} results
   * @returns {HTMLElement[]}  what takes the focus, in order
   */
  appendSentences(results) {
    if (!this.#pointing) return [];
    this.#remember(results);
    return this.#add(results, this.#pointing);
  }

  /** The search has ended, well or not. */
  settled() {
    this.stand.easel.element.classList.remove("waiting");
  }

  /**
   * Where a word looked, in px of the window.
   * @param {string} key
   * @returns {import("./sightlines.js").Target[]}
   */
  targets(key) {
    const word = this.#words.get(key);
    return word?.regions.length ? [this.stand.easel.target(word.regions)] : [];
  }

  /** @param {string} key */
  wordElement(key) {
    return this.list.querySelector(`.word[data-word="${CSS.escape(key)}"]`);
  }

  /** Words and places of an earlier answer. */
  #forget() {
    this.#words = new Map();
    this.#count = 0;
    this.stand.easel.light(null);
    for (const dot of this.stand.easel.picture.querySelectorAll(".place")) dot.remove();
  }

  /** @param {import("./api.js").Result[]} results */
  #remember(results) {
    results.forEach(({ explanation }, i) => {
      for (const word of explanation?.words ?? []) this.#words.set(`${this.#count + i}:${word.start}`, word);
    });
  }

  /**
   * @param {import("./api.js").Result[]} results
   * @param {import("./pointing.js").Pointing} pointing
   */
  #add(results, pointing) {
    const looks = { places: this.#places, strongest: this.#strongest, first: this.#count };
    const items = sentenceItems(results, looks, pointing, this.listeners.onSentence);
    this.#count += results.length;
    this.list.append(...items);
    return items.flatMap((item) => /** @type {HTMLElement | null} */ (item.querySelector("button")) ?? []);
  }

  /**
   * @param {"sentences" | "pictures"} find
   * @param {string} name
   */
  #kind(find, name) {
    const button = element("button", { type: "button", onclick: () => this.listeners.onFind(find) }, name);
    button.dataset.find = find;
    return button;
  }

  /** @param {string | null} key */
  #light(key) {
    const word = key === null ? null : this.#words.get(key);
    this.stand.easel.light(word?.regions ?? null);
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
    const { picture } = this.stand.easel;
    const answer = (/** @type {PointerEvent} */ { clientX, clientY }) => {
      if (this.#words.size === 0) return;
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
    this.sentences.classList.toggle("answering", answers !== null);
    for (const word of this.list.querySelectorAll(".word")) {
      const lit = answers !== null && answers(/** @type {HTMLElement} */ (word));
      word.classList.toggle("answers", lit);
    }
  }
}
