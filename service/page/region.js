/** The part of a picture that asks: drawn with the pointer, or moved and sized with the keys. */

import { element } from "./dom.js";
import { isModified } from "./keyboard.js";

/** @typedef {import("./api.js").Box} Box */

/** @type {Box} */
export const MIDDLE = [0.25, 0.25, 0.75, 0.75];
const STEP = 0.05;
const LEAST = 0.05;

/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Region {
  /** @type {Box} */
  #box = MIDDLE;

  /**
   * @param {(box: Box) => void} onChange  told while the region changes, many times
   * @param {() => void} onLeave  Escape: the whole picture is meant again
   */
  constructor(onChange, onLeave) {
    this.onChange = onChange;
    this.box = element("div", { class: "region", role: "application", tabindex: 0 });
    this.element = element("div", { class: "drawing", hidden: true }, this.box);
    this.#drawWithPointer();
    this.box.addEventListener("keydown", (event) => {
      if (isModified(event)) return;
      if (event.key === "Escape") onLeave();
      const arrow = ARROWS[event.key];
      if (!arrow) return;
      event.preventDefault();
      const [right, down] = arrow.map((way) => way * STEP);
      this.#change(event.shiftKey ? sized(this.#box, right, down) : moved(this.#box, right, down));
    });
  }

  /** @param {Box | null} box  null: the whole picture, nothing is drawn */
  show(box) {
    this.element.hidden = box === null;
    if (box) this.#place(box);
  }

  focus() {
    this.box.focus({ preventScroll: true });
  }

  /** @param {Box} box */
  #place(box) {
    this.#box = box;
    box.forEach((edge, i) => this.box.style.setProperty(`--${"x0 y0 x1 y1".split(" ")[i]}`, String(edge)));
    const [left, top, right, bottom] = box.map((edge) => Math.round(edge * 100));
    const told = `Part of the photo, from ${left} to ${right}\u202f% across and ${top} to ${bottom}\u202f% down.`;
    this.box.setAttribute("aria-label", `${told} Arrow keys move it, with Shift they size it, Escape asks with the whole photo.`);
  }

  /** @param {Box} box */
  #change(box) {
    this.#place(box);
    this.onChange(box);
  }

  #drawWithPointer() {
    /** @type {((x: number, y: number) => Box) | null} */
    let drag = null;
    const at = (/** @type {PointerEvent} */ { clientX, clientY }) => {
      const { left, top, width, height } = this.element.getBoundingClientRect();
      return [(clientX - left) / width, (clientY - top) / height].map(within);
    };
    this.element.addEventListener("pointerdown", (event) => {
      event.stopPropagation();
      event.preventDefault();
      this.element.setPointerCapture(event.pointerId);
      const [x, y] = at(event);
      const start = this.#box;
      drag = event.target === this.box
        ? (toX, toY) => moved(start, toX - x, toY - y)
        : (toX, toY) => between(x, y, toX, toY);
    });
    this.element.addEventListener("pointermove", (event) => {
      // Without a drag, the photo below answers for the point as ever.
      if (!drag) return;
      event.stopPropagation();
      const [x, y] = at(event);
      this.#change(drag(x, y));
    });
    for (const end of ["pointerup", "pointercancel"]) {
      this.element.addEventListener(end, () => {
        drag = null;
        this.box.focus({ preventScroll: true });
      });
    }
  }
}

/** @param {number} value */
function within(value) {
  return Math.min(Math.max(value, 0), 1);
}

/**
 * The same size at another place, kept inside the picture. Pure.
 * @param {Box} box
 * @param {number} right
 * @param {number} down
 * @returns {Box}
 */
export function moved([x0, y0, x1, y1], right, down) {
  const x = Math.min(Math.max(right, -x0), 1 - x1);
  const y = Math.min(Math.max(down, -y0), 1 - y1);
  return [x0 + x, y0 + y, x1 + x, y1 + y];
}

/**
 * The same place with another size: its lower right corner moves. Pure.
 * @param {Box} box
 * @param {number} right
 * @param {number} down
 * @returns {Box}
 */
export function sized([x0, y0, x1, y1], right, down) {
  return between(x0, y0, Math.max(x1 + right, x0 + LEAST), Math.max(y1 + down, y0 + LEAST));
}

/**
 * The box between two corners, never smaller than the least and never outside. Pure.
 * @param {number} x
 * @param {number} y
 * @param {number} toX
 * @param {number} toY
 * @returns {Box}
 */
function between(x, y, toX, toY) {
  const [x0, x1] = span(x, toX);
  const [y0, y1] = span(y, toY);
  return [x0, y0, x1, y1];
}

/**
 * @param {number} from
 * @param {number} to
 */
function span(from, to) {
  const low = Math.min(within(Math.min(from, to)), 1 - LEAST);
  return [low, Math.max(within(Math.max(from, to)), low + LEAST)];
}
