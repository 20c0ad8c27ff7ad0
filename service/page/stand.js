/** The photo that asks, with what can be done with it. */

import { element } from "./dom.js";
import { Easel } from "./easel.js";
import { afterPause } from "./pause.js";
import { MIDDLE, Region } from "./region.js";

const REGION_RESTS_MS = 200;

/**
 * @typedef {{key: string, url: string, alt: string, onAdd: (() => void) | null}} Source
 *   key tells one picture from another; onAdd is null when the collection has it already
 */

export class Stand {
  /** Of the photo that is shown. @type {string | null} */
  key = null;
  #asked = afterPause(REGION_RESTS_MS, (/** @type {import("./api.js").Box} */ box) => this.listeners.onRegion(box));

  /**
   * @param {{onRegion: (box: import("./api.js").Box | null) => void, onRemove: () => void}} listeners
   */
  constructor(listeners) {
    this.listeners = listeners;
    this.easel = new Easel("", "");
    this.region = new Region((box) => this.#asked(box), () => this.#leaveRegion());
    this.part = element("button", { type: "button", class: "action", onclick: () => this.#togglePart() }, "Ask about a part");
    this.hint = element("p", { class: "note hint" }, "Draw a box on the photo, or move it with the arrow keys; Shift sizes it.");
    this.element = element("div", { class: "stand" });
  }

  /**
   * Shows a photo; the same one stays as it is, unless it could not be seen.
   * @param {Source} source
   * @returns {boolean}  whether it stands on another easel than before
   */
  show({ key, url, alt, onAdd }) {
    const isSame = key === this.key;
    const before = this.easel.element;
    if (isSame && !before.hidden) return false;
    this.key = key;
    this.easel = new Easel(url, alt);
    this.easel.element.classList.add("corners", "waiting");
    this.easel.picture.append(this.region.element);
    if (isSame) {
      before.replaceWith(this.easel.element);
      return true;
    }
    const actions = element("div", { class: "actions" }, this.part);
    if (onAdd) {
      actions.append(element("button", { type: "button", class: "action", onclick: onAdd }, "Add it to the collection"));
    }
    actions.append(element("button", { type: "button", class: "action", onclick: this.listeners.onRemove }, "Put it away"));
    this.element.replaceChildren(this.easel.element, actions, this.hint);
    return true;
  }

  /** Forgets the photo. */
  clear() {
    this.#asked.cancel();
    this.key = null;
    this.element.replaceChildren();
  }

  /** @param {import("./api.js").Box | null} box */
  showRegion(box) {
    this.#asked.cancel();
    this.region.show(box);
    this.part.textContent = box ? "Ask with the whole photo" : "Ask about a part";
    this.hint.hidden = box === null;
  }

  #togglePart() {
    if (!this.region.element.hidden) {
      this.#leaveRegion();
      return;
    }
    this.listeners.onRegion(MIDDLE);
    this.region.focus();
  }

  #leaveRegion() {
    this.#asked.cancel();
    this.listeners.onRegion(null);
    this.part.focus();
  }
}
