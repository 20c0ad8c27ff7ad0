/** Pictures in rows that fill the width, whole and in order of rank. Pure. */

/**
 * Row heights shrink with rank: a better match stands larger.
 * @param {number[]} aspects  width / height of each picture, in order
 * @param {number} width  of the container, in px
 * @param {number} gap  between pictures, in px
 * @returns {{width: number, height: number, row: number}[]}
 */
export function justify(aspects, width, gap) {
  /** @type {{width: number, height: number, row: number}[]} */
  const placed = [];
  let start = 0;
  for (let row = 0; start < aspects.length; row++) {
    const target = rowHeight(row, width);
    let end = start;
    let sum = 0;
    while (end < aspects.length && (end === start || fitted(sum, end - start) > target)) {
      sum += aspects[end++];
    }
    // The last row keeps its height when too few pictures are left to fill it.
    const height = Math.min(fitted(sum, end - start), target * 1.25);
    for (const aspect of aspects.slice(start, end)) {
      // Rounded down: a sum a hair too wide would wrap.
      placed.push({ width: Math.floor(aspect * height * 8) / 8, height, row });
    }
    start = end;
  }
  return placed;

  /**
   * @param {number} sum
   * @param {number} count
   */
  function fitted(sum, count) {
    return (width - gap * (count - 1)) / sum;
  }
}

/**
 * @param {number} row
 * @param {number} width
 */
function rowHeight(row, width) {
  const full = Math.min(400, Math.max(240, width * 0.29));
  return Math.max(170, full * [1, 0.72, 0.58][Math.min(row, 2)]);
}
