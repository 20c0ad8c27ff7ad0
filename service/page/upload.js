/** One photo on its way into the collection: its row, its progress, its outcome in words. */

import { addPicture, namePicture } from "./api.js";
import { element } from "./dom.js";
import { patiently } from "./patience.js";

/** @typedef {"waiting" | "sending" | "added" | "failed" | "cancelled"} State */

export class Upload {
  /** @type {State} */
  state = "waiting";
  #abort = new AbortController();
  /** The picture in the collection, once it is there; its title may follow. @type {{id: string, isNew: boolean} | null} */
  #stored = null;

  /**
   * @param {File} file
   * @param {() => void} onChange  told when the state changes
   * @param {(upload: Upload) => void} onRetry
   */
  constructor(file, onChange, onRetry) {
    this.file = file;
    this.onChange = onChange;
    this.told = element("span", { class: "state" }, "waiting");
    this.cancelButton = element("button", { type: "button", class: "quiet", "aria-label": `Cancel ${file.name}`, onclick: () => this.cancel() }, "Cancel");
    this.retryButton = element("button", { type: "button", class: "quiet", hidden: true, "aria-label": `Try ${file.name} again`, onclick: () => onRetry(this) }, "Try again");
    this.element = element("li", { class: this.state, tabindex: -1 }, element("span", { class: "name" }, file.name), this.told, this.cancelButton, this.retryButton);
  }

  /** Whether the collection has a picture more by it. */
  get isNew() {
    return this.#stored?.isNew ?? false;
  }

  /** Back to the start, after a failure. */
  reset() {
    this.#abort = new AbortController();
    this.#become("waiting", "waiting");
  }

  /** Sends it, and comes back when the service is busy. */
  async send() {
    const { signal } = this.#abort;
    this.#become("sending", "0\u202f% sent");
    const wait = (/** @type {number} */ seconds) => {
      this.told.textContent = `the service is busy, again in ${seconds} s`;
    };
    try {
      await patiently(() => this.#store(signal), signal, wait);
      this.#become("added", this.isNew ? "added" : "was there already");
    } catch (error) {
      if (signal.aborted) return;
      this.#become("failed", error instanceof Error ? error.message : String(error));
    }
  }

  /** @param {AbortSignal} signal */
  async #store(signal) {
    // After a failure in between only the title is left to tell.
    this.#stored ??= await addPicture(this.file, (sent) => this.#progress(sent), signal);
    // A picture that was there has its own title, and whatever else was told of it.
    if (this.isNew) await namePicture(this.#stored.id, this.file.name.replace(/\.[^.]+$/, ""), signal);
  }

  cancel() {
    if (this.state !== "waiting" && this.state !== "sending") return;
    this.#abort.abort();
    this.#become("cancelled", "cancelled");
  }

  /** @param {number} sent  0..1 */
  #progress(sent) {
    if (this.state !== "sending") return;
    this.element.style.setProperty("--part", String(sent));
    this.told.textContent = sent < 1 ? `${Math.round(sent * 100)}\u202f% sent` : "looking at it";
  }

  /**
   * @param {State} state
   * @param {string} told
   */
  #become(state, told) {
    const focused = this.element.contains(document.activeElement);
    this.state = state;
    this.element.className = state;
    this.told.textContent = told;
    if (state !== "sending") this.element.style.removeProperty("--part");
    this.cancelButton.hidden = state !== "waiting" && state !== "sending";
    this.retryButton.hidden = state !== "failed" && state !== "cancelled";
    if (focused) ([this.cancelButton, this.retryButton].find(({ hidden }) => !hidden) ?? this.element).focus();
    this.onChange();
  }
}
