/**
 * The sentence that is asked. A mirror lies under the text with the same line breaks, so that the
 * words themselves can be pointed at while they stay editable.
 */

import { pieces } from "./codepoints.js";
import { byId, element } from "./dom.js";
import { keepFocus } from "./keyboard.js";
import { afterPause } from "./pause.js";
import { oneStop, roving, wordButton } from "./words.js";

const PAUSE_MS = 160;

export class QueryBox {
  /** @type {import("./pointing.js").Pointing | null} */
  #pointing = null;
  #later = afterPause(PAUSE_MS, () => this.listeners.onPause(this.text));

  /**
   * @param {{onPause: (text: string) => void, onAsk: (text: string) => void,
   *          onClear: () => void}} listeners
   *   onPause: typing rested; onAsk: Enter was pressed; onClear: nothing is left
   */
  constructor(listeners) {
    this.listeners = listeners;
    this.form = byId("query");
    /** @type {HTMLTextAreaElement} */
    this.area = byId("query-text");
    this.mirror = byId("query-mirror");
    this.strip = byId("words");
    this.clearButton = byId("clear");

    const later = () => {
      this.#forgetWords();
      if (this.text) this.#later();
      else {
        this.#later.cancel();
        listeners.onClear();
      }
    };
    const now = () => {
      this.#later.cancel();
      if (this.text) listeners.onAsk(this.text);
    };
    this.#mirrorText();
    roving(this.strip, ".word");
    this.area.addEventListener("input", later);
    this.area.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.isComposing) return;
      event.preventDefault();
      now();
    });
    this.area.addEventListener("pointermove", (event) => this.#pointUnder(event));
    this.area.addEventListener("pointerleave", () => this.#pointing?.hover(null));
    this.area.addEventListener("scroll", () => (this.mirror.scrollTop = this.area.scrollTop));
    this.form.addEventListener("submit", (/** @type {Event} */ event) => event.preventDefault());
    this.clearButton.addEventListener("click", () => {
      this.text = "";
      this.area.focus();
      later();
    });
  }

  /** What is asked, without blanks around it. */
  get text() {
    return this.area.value.trim();
  }

  set text(text) {
    this.#later.cancel();
    if (text === this.text) return;
    this.area.value = text;
    this.#forgetWords();
  }

  focus() {
    this.area.focus();
  }

  /** @param {boolean} beside  whether the sentence would go with a photo that asks already */
  set besidePhoto(beside) {
    this.area.placeholder = beside ? "Add words to the photo" : "Say what you see";
  }

  /** Whether an answer is on its way. */
  get busy() {
    return this.form.classList.contains("busy");
  }

  set busy(busy) {
    this.form.classList.toggle("busy", busy);
  }

  /**
   * Makes the words of the answered query ready for pointing at.
   * @param {string} query
   * @param {import("./api.js").Word[]} words
   * @param {import("./pointing.js").Pointing} pointing
   */
  showWords(query, words, pointing) {
    if (query !== this.text) return;
    this.#pointing = pointing;
    const indent = this.area.value.slice(0, this.area.value.indexOf(query));
    const spans = pieces(query, words).map(({ text, word }) =>
      word ? element("span", { "data-word": String(word.start) }, text) : text,
    );
    this.#mirrorText(indent, ...spans);
    const buttons = words.map((word) => wordButton(word.text, String(word.start), pointing));
    oneStop(buttons);
    this.strip.setAttribute("role", "toolbar");
    this.strip.setAttribute("aria-labelledby", "words-hint");
    this.#stale = false;
    this.strip.hidden = words.length === 0;
    keepFocus(
      () => this.strip.querySelectorAll("button"),
      () => this.strip.replaceChildren(element("span", { class: "hint", id: "words-hint" }, "Point at a word to see where it looks"), ...buttons),
    );
    pointing.onChange(() => {
      for (const span of this.mirror.querySelectorAll("span")) {
        span.classList.toggle("lit", span.dataset.word === pointing.word);
      }
    });
  }

  /** Words of an earlier answer stay in view, so that nothing jumps, but point nowhere. */
  #forgetWords() {
    this.#pointing?.clear();
    this.#pointing = null;
    this.#mirrorText(this.area.value);
    this.#stale = true;
    if (!this.text) this.strip.hidden = true;
  }

  /** @param {boolean} stale */
  set #stale(stale) {
    this.strip.classList.toggle("stale", stale);
    this.strip.inert = stale;
  }

  /**
   * The button of a word, where its sightlines begin.
   * @param {string} key
   * @returns {Element | null}
   */
  wordElement(key) {
    return this.strip.querySelector(`[data-word="${CSS.escape(key)}"]`);
  }

  /** @param {PointerEvent} event */
  #pointUnder({ clientX, clientY, pointerType }) {
    if (!this.#pointing || pointerType === "touch") return;
    const under = [...this.mirror.querySelectorAll("span")].find((span) =>
      [...span.getClientRects()].some(
        (box) =>
          clientX >= box.left && clientX <= box.right && clientY >= box.top && clientY <= box.bottom,
      ),
    );
    this.#pointing.hover(under?.dataset.word ?? null);
  }

  /**
   * The mirror gives the text its height; its length gives the type its size.
   * @param {...(Node | string)} content
   */
  #mirrorText(...content) {
    const { length } = this.area.value;
    this.form.dataset.length = length > 120 ? "long" : length > 44 ? "medium" : "short";
    this.clearButton.hidden = length === 0;
    // A last line without characters would have no height.
    this.mirror.replaceChildren(...content, "\u200b");
  }
}
