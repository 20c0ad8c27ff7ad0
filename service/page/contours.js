/** Height lines of a heat map, as a walker's map draws a hill: marching squares. */

import { SIDE } from "./heat.js";

const LEVELS = [0.35, 0.6, 0.85];

/** Which edges of a cell (0 top, 1 right, 2 bottom, 3 left) a line joins, by corners above it. */
const JOINS = [
  [], [[3, 0]], [[0, 1]], [[3, 1]], [[1, 2]], [[3, 0], [1, 2]], [[0, 2]], [[3, 2]],
  [[2, 3]], [[0, 2]], [[0, 1], [2, 3]], [[1, 2]], [[1, 3]], [[0, 1]], [[0, 3]], [],
];

/**
 * An SVG over a unit square with a path for each level.
 * @param {Float32Array} map
 * @returns {SVGSVGElement}
 */
export function contourLines(map) {
  const svg = svgElement("svg", { viewBox: "0 0 1 1", preserveAspectRatio: "none" });
  svg.classList.add("contours");
  svg.setAttribute("aria-hidden", "true");
  for (const level of LEVELS) {
    svg.append(svgElement("path", { d: outline(map, level), "stroke-opacity": level }));
  }
  return /** @type {SVGSVGElement} */ (svg);
}

/**
 * The path where a map crosses a level, in fractions of the picture.
 * @param {Float32Array} map
 * @param {number} level
 */
export function outline(map, level) {
  const steps = [];
  for (let y = 0; y < SIDE - 1; y++) {
    for (let x = 0; x < SIDE - 1; x++) {
      const at = y * SIDE + x;
      const corners = [map[at], map[at + 1], map[at + SIDE + 1], map[at + SIDE]];
      const shape = corners.reduce((bits, value, i) => bits | (Number(value > level) << i), 0);
      for (const [from, to] of JOINS[shape]) {
        steps.push(`M${crossing(x, y, corners, from, level)}L${crossing(x, y, corners, to, level)}`);
      }
    }
  }
  return steps.join("");
}

/**
 * Where the level crosses one edge of the cell at (x, y).
 * @param {number} x
 * @param {number} y
 * @param {number[]} corners  clockwise from the top left
 * @param {number} edge
 * @param {number} level
 */
function crossing(x, y, corners, edge, level) {
  const before = corners[edge];
  const after = corners[(edge + 1) % 4];
  const part = (level - before) / (after - before);
  const offsets = [[part, 0], [1, part], [1 - part, 1], [0, 1 - part]];
  const [right, down] = offsets[edge];
  return [x + right, y + down].map((value) => ((value + 0.5) / SIDE).toFixed(4)).join(" ");
}

/**
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 */
export function svgElement(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  return made;
}
