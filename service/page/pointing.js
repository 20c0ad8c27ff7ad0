/** Which word a person points at now. Views listen to "change"; one Pointing for each answer. */

export class Pointing extends EventTarget {
  /** @type {string | null} */
  #hovered = null;
  /** @type {string | null} */
  #pinned = null;

  /** The word hovered or focused, else the one tapped, else null. */
  get word() {
    return this.#hovered ?? this.#pinned;
  }

  /** The word that was tapped. */
  get pinned() {
    return this.#pinned;
  }

  /** Points at nothing. */
  clear() {
    this.#hovered = null;
    this.#pinned = null;
    this.dispatchEvent(new Event("change"));
  }

  /** @param {string | null} word */
  hover(word) {
    if (word === this.#hovered) return;
    this.#hovered = word;
    this.dispatchEvent(new Event("change"));
  }

  /**
   * Holds a word until it is tapped again.
   * @param {string} word
   */
  pin(word) {
    this.#pinned = word === this.#pinned ? null : word;
    this.dispatchEvent(new Event("change"));
  }

  /** @param {() => void} listener */
  onChange(listener) {
    this.addEventListener("change", listener);
  }
}
