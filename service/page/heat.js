/**
 * Attention as a small smooth map. Pure functions; a map is SIDE x SIDE values in 0..1, row by row.
 *
 * @typedef {{box: import("./api.js").Box, weight: number}[]} Attention
 */

/** A multiple of the grid sides in use (6, 7, 8, 12, 14 ...) or near enough once blurred. */
export const SIDE = 48;
const BLUR = 3;
const LEAST = 0.01;

/** Maps already made: pointing and scrolling ask for the same ones again and again. */
const made = new WeakMap();

/**
 * Regions laid over each other, blurred and scaled so that the strongest place is 1.
 * @param {Attention} regions
 * @returns {Float32Array}
 */
export function heatMap(regions) {
  const known = made.get(regions);
  if (known) return known;
  const map = new Float32Array(SIDE * SIDE);
  for (const { box, weight } of regions) {
    const [x0, y0, x1, y1] = box.map((edge) => Math.round(edge * SIDE));
    for (let y = y0; y < Math.min(y1, SIDE); y++) {
      for (let x = x0; x < Math.min(x1, SIDE); x++) map[y * SIDE + x] += weight;
    }
  }
  const smooth = blur(blur(map));
  const most = Math.max(...smooth);
  const scaled = most > 0 ? smooth.map((value) => value / most) : smooth;
  made.set(regions, scaled);
  return scaled;
}

/**
 * The attention of several words together, each by its score; words that found nothing count little.
 * @param {import("./api.js").Word[]} words
 * @returns {Attention}
 */
export function together(words) {
  return words.flatMap((word) =>
    word.regions.map(({ box, weight }) => ({ box, weight: weight * Math.max(word.score, LEAST) })),
  );
}

/**
 * Where a map is strongest, as fractions [x, y] of the picture.
 * @param {Float32Array} map
 * @returns {[number, number]}
 */
export function peak(map) {
  const at = map.indexOf(Math.max(...map));
  return [((at % SIDE) + 0.5) / SIDE, (Math.floor(at / SIDE) + 0.5) / SIDE];
}

/**
 * One box blur, rows then columns; edges repeat.
 * @param {Float32Array} map
 */
function blur(map) {
  return pass(pass(map, 1, SIDE), SIDE, 1);
}

/**
 * @param {Float32Array} map
 * @param {number} step  between neighbours of a line
 * @param {number} stride  between lines
 */
function pass(map, step, stride) {
  const blurred = new Float32Array(map.length);
  for (let line = 0; line < SIDE; line++) {
    for (let at = 0; at < SIDE; at++) {
      let sum = 0;
      for (let near = at - BLUR; near <= at + BLUR; near++) {
        sum += map[line * stride + Math.min(Math.max(near, 0), SIDE - 1) * step];
      }
      blurred[line * stride + at * step] = sum / (2 * BLUR + 1);
    }
  }
  return blurred;
}
