/** The lines from the word that is pointed at to the places that it looked at. */

import { svgElement } from "./contours.js";

/**
 * @typedef {{x: number, y: number, strength: number}} Target  in px of the window; strength 0..1
 */

const RING = 7;
/** More lines than this would hide the pictures; the rest get their ring alone. */
const LINES = 9;

/** Draws over the whole window; follows scrolling while lines are shown. */
export class Sightlines {
  /** @type {(() => {from: DOMRect, targets: Target[]} | null) | null} */
  #aim = null;

  /** @param {SVGSVGElement} svg */
  constructor(svg) {
    this.svg = svg;
    const follow = () => requestAnimationFrame(() => this.#draw());
    addEventListener("scroll", follow, { passive: true, capture: true });
    addEventListener("resize", follow);
  }

  /**
   * @param {(() => {from: DOMRect, targets: Target[]} | null) | null} aim
   *   measures anew at each drawing; null draws nothing
   */
  show(aim) {
    this.#aim = aim;
    this.svg.classList.remove("fresh");
    this.#draw();
    // Restarts the entrance animation: the class has to be gone for one style computation.
    this.svg.getBoundingClientRect();
    this.svg.classList.toggle("fresh", aim !== null);
  }

  #draw() {
    const aimed = this.#aim?.();
    if (!aimed) {
      this.svg.replaceChildren();
      return;
    }
    const { from, targets } = aimed;
    this.svg.replaceChildren(
      ...targets.slice(0, LINES).map((target) => line(from, target)),
      ...targets.flatMap(ring),
    );
  }
}

/**
 * From the word's edge to the ring's edge.
 * @param {DOMRect} from  of the word
 * @param {Target} target
 */
function line(from, { x, y, strength }) {
  const middleX = from.left + from.width / 2;
  const middleY = from.top + from.height / 2;
  const [right, down] = [x - middleX, y - middleY];
  const leave = Math.min(from.width / 2 / Math.abs(right), from.height / 2 / Math.abs(down), 1);
  const arrive = 1 - RING / (Math.hypot(right, down) || 1);
  return svgElement("line", {
    x1: middleX + right * leave,
    y1: middleY + down * leave,
    x2: middleX + right * arrive,
    y2: middleY + down * arrive,
    "stroke-opacity": opacity(strength),
    pathLength: 1,
  });
}

/** @param {Target} target */
function ring({ x, y, strength }) {
  return [
    svgElement("circle", { cx: x, cy: y, r: RING, "stroke-opacity": opacity(strength) }),
    svgElement("circle", { cx: x, cy: y, r: 1.6, class: "dot" }),
  ];
}

/** @param {number} strength  0..1 */
function opacity(strength) {
  return 0.25 + 0.75 * strength;
}
