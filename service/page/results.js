/** The pictures found for a sentence, in rows, best first. */

import { counted, element, percent, prefersStillness } from "./dom.js";
import { justify } from "./justify.js";
import { decoded } from "./picture.js";
import { Print } from "./print.js";
import { timing } from "./timing.js";
import { roving } from "./words.js";

const GAP = 14;
const IMAGES_WITHIN_MS = 600;

export class Results {
  /** @type {Map<string, Print>} */
  #prints = new Map();

  /**
   * @param {HTMLElement} root
   * @param {(id: string) => void} onOpen
   */
  constructor(root, onOpen) {
    this.root = root;
    this.onOpen = onOpen;
    this.list = element("ol", { class: "prints", "aria-label": "Pictures, best match first" });
    this.verdict = element("div", { class: "verdict" });
    this.root.append(this.verdict, this.list);
    roving(this.list, ".frame");
    new ResizeObserver(() => this.#layOut()).observe(this.list);
  }

  /**
   * The pictures of an answer, most of their images there; what is shown stays as it is.
   * @param {import("./api.js").Answer} answer
   */
  async prepare(answer) {
    const known = this.#prints;
    const prints = answer.results.map(
      (result) => known.get(result.id) ?? new Print(result, this.onOpen, () => this.#layOut()),
    );
    const ready = Promise.allSettled(prints.map((print) => decoded(print.image)));
    const late = new Promise((resolve) => setTimeout(resolve, IMAGES_WITHIN_MS));
    await Promise.race([ready, late]);
    return prints;
  }

  /**
   * Replaces what is shown in one step.
   * @param {import("./api.js").Answer} answer
   * @param {Print[]} prints  as prepared
   * @param {import("./pointing.js").Pointing} pointing
   */
  show(answer, prints, pointing) {
    const before = this.#places();
    this.#prints = new Map(prints.map((print) => [print.result.id, print]));
    prints.forEach((print, i) => print.update(answer.results[i], i + 1));
    this.list.replaceChildren(...prints.map((print) => print.element));
    prints.forEach((print, i) => (print.button.tabIndex = i === 0 ? 0 : -1));
    this.root.classList.toggle("faint", answer.no_match);
    this.verdict.replaceChildren(...verdict(answer), timing(answer));
    this.#layOut();
    this.#glide(before);
    pointing.onChange(() => this.#light(pointing.word));
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

/** @param {import("./api.js").Answer} answer */
function verdict({ results, no_match: noMatch }) {
  if (results.length === 0) {
    return [
      element("h2", {}, "No pictures to search yet"),
      element("p", {}, "Add some photos, then ask again."),
    ];
  }
  if (noMatch) {
    return [
      element("h2", {}, "Nothing here matches well"),
      element("p", {}, "These come closest, but the model doubts every one of them."),
    ];
  }
  return [
    element("h2", {}, counted(results.length, "picture", "pictures"), element("span", {}, ", best match first")),
    element("p", {}, "The percentage is the model's own estimate that the sentence describes the picture."),
  ];
}

/**
 * The same in one sentence, for screen readers.
 * @param {import("./api.js").Answer} answer
 */
export function spoken(answer) {
  if (answer.results.length === 0) return "Nothing found: the collection is empty.";
  const best = `Best match ${percent(answer.results[0].probability)}.`;
  const count = answer.results.length;
  return answer.no_match
    ? `Nothing here matches well. ${best}`
    : `${counted(count, "result", "results")}. ${best}`;
}
