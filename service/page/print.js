/** One picture among the results: the image, its overlay, its caption. */

import { movement } from "./changes.js";
import { chance, element } from "./dom.js";
import { heatMap, peak } from "./heat.js";
import { Overlay } from "./overlay.js";
import { showPicture } from "./picture.js";
import { titleOf } from "./titles.js";

const UNKNOWN_ASPECT = 4 / 3;

export class Print {
  /** @type {import("./api.js").Result} */
  result;

  /**
   * @param {import("./api.js").Result} result
   * @param {(id: string) => void} onOpen
   * @param {() => void} onSize  called when the image's size is known late
   */
  constructor(result, onOpen, onSize) {
    this.result = result;
    this.overlay = new Overlay();
    this.image = element("img", { alt: "", decoding: "async" });
    showPicture(this.image, result.url ?? "");
    this.image.addEventListener("load", onSize);
    this.button = element("button", { type: "button", class: "frame", onclick: () => onOpen(result.id) });
    this.button.append(this.image, this.overlay.element);
    this.probability = element("span", { class: "probability" });
    this.title = element("span", { class: "title" });
    this.meter = element("span", { class: "meter" });
    this.moved = element("span", { class: "moved" });
    this.element = element("li", { class: "print" });
    this.element.append(
      this.button,
      element("p", { class: "caption", "aria-hidden": "true" }, this.probability, this.meter, this.moved, this.title),
    );
    this.element.dataset.id = result.id;
  }

  get aspect() {
    const { naturalWidth, naturalHeight } = this.image;
    return naturalHeight ? naturalWidth / naturalHeight : UNKNOWN_ASPECT;
  }

  /**
   * @param {import("./api.js").Result} result  of the same picture
   * @param {number} rank  from 1
   */
  update(result, rank) {
    this.result = result;
    const title = titleOf(result);
    const named = title || `Picture ${result.id}`;
    const { mark, words } = movement(result, rank);
    this.probability.textContent = chance(result);
    this.title.textContent = title;
    this.moved.textContent = mark;
    this.meter.style.setProperty("--part", String(result.probability ?? Math.max(result.score, 0)));
    const told = [`${rank}: ${named}`, `${chance(result)} ${result.probability === null ? "alike" : "match"}`, words];
    this.button.setAttribute("aria-label", told.filter(Boolean).join(". "));
    this.light(null);
  }

  /** @param {{width: number, height: number}} size  in px */
  resize({ width, height }) {
    this.element.style.setProperty("--width", `${width}px`);
    this.element.style.setProperty("--height", `${height}px`);
  }

  /** @param {string | null} key  the word's start in the query, or null for none */
  light(key) {
    this.overlay.light(key === null ? null : (this.word(key)?.regions ?? []));
  }

  /** @param {string} key */
  word(key) {
    return this.result.explanation?.words.find((word) => String(word.start) === key);
  }

  /**
   * Where the word looked at most, in px of the window.
   * @param {string} key
   * @returns {import("./sightlines.js").Target | null}
   */
  target(key) {
    const word = this.word(key);
    if (!word?.regions.length) return null;
    const [x, y] = peak(heatMap(word.regions));
    const box = this.image.getBoundingClientRect();
    return { x: box.left + x * box.width, y: box.top + y * box.height, strength: word.score };
  }
}
