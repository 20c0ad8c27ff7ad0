/** What narrows the search now, each with a button that takes it away. */

import { element } from "./dom.js";
import { EMPTY, hasProbability } from "./question.js";

/** @typedef {Partial<import("./question.js").Question>} Part */

/**
 * @param {import("./question.js").Question} question
 * @returns {{name: string, without: Part}[]}
 */
export function narrowing(question) {
  const { tags, exclude, least, depth } = question;
  const found = tags.map((tag) => ({
    name: tag,
    without: /** @type {Part} */ ({ tags: tags.filter((other) => other !== tag) }),
  }));
  if (exclude) found.push({ name: `without \u201c${exclude}\u201d`, without: { exclude: "" } });
  if (least && hasProbability(question)) {
    found.push({ name: atLeast(least), without: { least: 0 } });
  }
  if (depth !== null) found.push({ name: deep(depth), without: { depth: null } });
  return found;
}

/** @param {number} least  probability */
export function atLeast(least) {
  return least ? `at least ${Math.round(least * 100)}\u202f%` : "any";
}

/** @param {number | null} depth  candidates */
export function deep(depth) {
  if (depth === null) return "the usual number";
  return depth === 0 ? "first stage only" : `${depth.toLocaleString("en")} candidates`;
}

export class Chosen {
  /** @param {(part: Part) => void} onChange */
  constructor(onChange) {
    this.onChange = onChange;
    this.element = element("ul", { class: "chosen", "aria-label": "Narrowed to" });
  }

  /** @param {import("./question.js").Question} question */
  show(question) {
    const buttons = /** @type {HTMLElement[]} */ ([...this.element.querySelectorAll("button")]);
    const at = buttons.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const parts = narrowing(question);
    const items = parts.map(({ name, without }) => this.#item(name, "one", `Take away: ${name}`, without));
    if (parts.length > 1) {
      const { exclude, tags, least, depth } = EMPTY;
      items.push(this.#item("Clear all", "quiet", "Clear all of these", { exclude, tags, least, depth }));
    }
    this.element.replaceChildren(...items);
    this.element.hidden = items.length === 0;
    if (at >= 0) this.#focusNear(at);
  }

  /**
   * The button that was pressed is gone: its neighbour takes the focus.
   * @param {number} at
   */
  #focusNear(at) {
    const left = /** @type {HTMLElement[]} */ ([...this.element.querySelectorAll("button")]);
    const near = left[Math.min(at, left.length - 1)] ?? this.element.parentElement?.querySelector("button");
    near?.focus();
  }

  /**
   * @param {string} name
   * @param {string} kind
   * @param {string} label
   * @param {Part} without
   */
  #item(name, kind, label, without) {
    const button = element("button", { type: "button", class: kind, "aria-label": label, onclick: () => this.onChange(without) }, name);
    return element("li", {}, button);
  }
}
