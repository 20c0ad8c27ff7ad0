/**
 * The service counts characters as code points; JavaScript strings count UTF-16 units.
 *
 * @typedef {{text: string, word: import("./api.js").Word | null}} Piece
 */

/**
 * Splits a text at its words. Joined, the pieces give the text back.
 * @param {string} text
 * @param {import("./api.js").Word[]} words
 * @returns {Piece[]}
 */
export function pieces(text, words) {
  const points = Array.from(text);
  const inOrder = [...words].sort((a, b) => a.start - b.start);
  /** @type {Piece[]} */
  const found = [];
  let at = 0;
  for (const word of inOrder) {
    if (word.start < at || word.end > points.length) continue;
    if (word.start > at) found.push({ text: points.slice(at, word.start).join(""), word: null });
    found.push({ text: points.slice(word.start, word.end).join(""), word });
    at = word.end;
  }
  if (at < points.length) found.push({ text: points.slice(at).join(""), word: null });
  return found;
}
