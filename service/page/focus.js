/** The few places of a photo that the found sentences look at; each gets a colour. Pure. */

/** @typedef {{x: number, y: number}} Place  fractions of the picture */

const MOST = 6;
const APART = 0.25;

/**
 * The places attended to most, none near another and none without words, from left to right so that the same photo keeps
 * its colours.
 * @param {import("./api.js").Word[]} words  of all sentences
 * @returns {Place[]}
 */
export function focusPlaces(words) {
  /** @type {Map<string, Place & {weight: number}>} */
  const byBox = new Map();
  for (const word of words) {
    for (const { box, weight } of word.regions) {
      const key = box.join(" ");
      const known = byBox.get(key) ?? { ...middle(box), weight: 0 };
      known.weight += weight * Math.max(word.score, 0);
      byBox.set(key, known);
    }
  }
  /** @type {Place[]} */
  const places = [];
  for (const place of [...byBox.values()].sort((a, b) => b.weight - a.weight)) {
    if (places.length === MOST) break;
    if (places.every((taken) => distance(taken, place) >= APART)) places.push(place);
  }
  const used = new Set(words.map((word) => placeOf(word, places)));
  return places.filter((_, i) => used.has(i)).sort((a, b) => a.x - b.x || a.y - b.y);
}

/**
 * Which place a word belongs to: the one nearest to the middle of what it attended to.
 * @param {import("./api.js").Word} word
 * @param {Place[]} places
 * @returns {number}  -1 when there is none
 */
export function placeOf(word, places) {
  const strongest = word.regions.slice(0, 3);
  const total = strongest.reduce((sum, { weight }) => sum + weight, 0);
  if (total <= 0) return -1;
  const centre = { x: 0, y: 0 };
  for (const { box, weight } of strongest) {
    centre.x += (middle(box).x * weight) / total;
    centre.y += (middle(box).y * weight) / total;
  }
  const distances = places.map((place) => distance(place, centre));
  return distances.indexOf(Math.min(...distances));
}

/**
 * How much a word attended to a place, against its strongest region (0..1).
 * @param {import("./api.js").Word} word
 * @param {Place} place
 */
export function attentionAt(word, { x, y }) {
  const strongest = Math.max(...word.regions.map(({ weight }) => weight), 1e-9);
  const here = word.regions
    .filter(({ box: [x0, y0, x1, y1] }) => x >= x0 && x < x1 && y >= y0 && y < y1)
    .map(({ weight }) => weight);
  return Math.max(0, ...here) / strongest;
}

/** @param {import("./api.js").Box} box */
function middle([x0, y0, x1, y1]) {
  return { x: (x0 + x1) / 2, y: (y0 + y1) / 2 };
}

/**
 * @param {Place} a
 * @param {Place} b
 */
function distance(a, b) {
  return Math.hypot(a.x - b.x, a.y - b.y);
}
