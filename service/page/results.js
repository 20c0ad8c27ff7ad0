/** The pictures that were found, in rows, best first. */

import { byId, element, prefersStillness } from "./dom.js";
import { justify } from "./justify.js";
import { decoded } from "./picture.js";
import { Print } from "./print.js";
import { oneStop, roving } from "./words.js";

const GAP = 14;
const IMAGES_WITHIN_MS = 600;

export class Results {
  /** @type {Map<string, Print>} */
  #prints = new Map();
  /** @type {import("./pointing.js").Pointing | null} */
  #pointing = null;

  /**
   * @param {HTMLElement} root
   * @param {(id: string) => void} onOpen
   * @param {HTMLElement} more  stands below the pictures
   */
  constructor(root, onOpen, more) {
    this.root = root;
    this.onOpen = onOpen;
    this.list = element("ol", { class: "prints", "aria-label": "Pictures, best match first" });
    this.verdict = element("div", { class: "verdict" });
    this.root.append(this.verdict, this.list, more);
    roving(this.list, ".frame");
    new ResizeObserver(() => this.#layOut()).observe(this.list);
  }

  /**
   * The pictures of an answer, most of their images there; what is shown stays as it is.
   * @param {import("./api.js").Result[]} results
   */
  async prepare(results) {
    const known = this.#prints;
    const prints = results.map(
      (result) => known.get(result.id) ?? new Print(result, this.onOpen, () => this.#layOut()),
    );
    const ready = Promise.allSettled(prints.map((print) => decoded(print.image)));
    const late = new Promise((resolve) => setTimeout(resolve, IMAGES_WITHIN_MS));
    await Promise.race([ready, late]);
    return prints;
  }

  /**
   * Replaces what is shown in one step.
   * @param {import("./api.js").Result[]} results
   * @param {Print[]} prints  as prepared
   * @param {boolean} faint  whether even the best is doubtful
   * @param {import("./pointing.js").Pointing} pointing
   */
  show(results, prints, faint, pointing) {
    const before = this.#places();
    const focused = this.list.contains(document.activeElement) && document.activeElement?.closest("li")?.dataset.id;
    this.#prints = new Map();
    this.#pointing = pointing;
    this.list.replaceChildren();
    this.#add(results, prints);
    oneStop(prints.map(({ button }) => button));
    this.root.classList.toggle("faint", faint);
    this.#layOut();
    this.#glide(before);
    if (focused) (this.#prints.get(focused)?.button ?? byId("content")).focus({ preventScroll: true });
    pointing.onChange(() => this.#light(pointing.word));
  }

  /**
   * Adds the next page to what is shown.
   * @param {import("./api.js").Result[]} results
   * @param {Print[]} prints  as prepared
   * @returns {HTMLElement[]}  what takes the focus, in order
   */
  append(results, prints) {
    this.#add(results, prints);
    for (const { button } of prints) button.tabIndex = -1;
    this.#layOut();
    this.#light(this.#pointing?.word ?? null);
    return prints.map(({ button }) => button);
  }

  /**
   * @param {import("./api.js").Result[]} results
   * @param {Print[]} prints
   */
  #add(results, prints) {
    prints.forEach((print, i) => {
      print.update(results[i], this.#prints.size + 1);
      this.#prints.set(results[i].id, print);
    });
    this.list.append(...prints.map((print) => print.element));
  }

  /**
   * Where a word looked on each picture in sight.
   * @param {string} key
   * @param {number} below  px of the window; what is scrolled above it is out of sight
   * @returns {import("./sightlines.js").Target[]}
   */
  targets(key, below) {
    const found = [...this.#prints.values()]
      .flatMap((print) => print.target(key) ?? [])
      .filter(({ y }) => y > below && y < innerHeight);
    const most = Math.max(...found.map(({ strength }) => strength), 1e-9);
    return found.map((target) => ({ ...target, strength: Math.max(target.strength, 0) / most }));
  }

  /** @param {string} id */
  focus(id) {
    this.#prints.get(id)?.button.focus();
  }

  /** @param {string | null} key */
  #light(key) {
    for (const print of this.#prints.values()) print.light(key);
  }

  #layOut() {
    const prints = [...this.#prints.values()];
    const { width } = this.list.getBoundingClientRect();
    if (!width) return;
    const sizes = justify(prints.map((print) => print.aspect), width, GAP);
    prints.forEach((print, i) => print.resize(sizes[i]));
  }

  #places() {
    return new Map(
      [...this.#prints].map(([id, print]) => [id, print.element.getBoundingClientRect()]),
    );
  }

  /**
   * Pictures that stay move to their new place; new ones fade in.
   * @param {Map<string, DOMRect>} before
   */
  #glide(before) {
    if (prefersStillness()) return;
    for (const [id, print] of this.#prints) {
      const from = before.get(id);
      const to = print.element.getBoundingClientRect();
      const start = from?.width
        ? { transform: `translate(${from.left - to.left}px, ${from.top - to.top}px) scale(${from.width / to.width})` }
        : { opacity: 0 };
      print.element.animate([start, {}], { duration: 280, easing: "cubic-bezier(.2,.7,.2,1)" });
    }
  }
}
