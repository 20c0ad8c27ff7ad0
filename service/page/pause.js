/** Waiting until a person pauses. */

/**
 * A function that acts once calls have rested for a while, with what the last one gave.
 * @template {unknown[]} Given
 * @param {number} milliseconds
 * @param {(...given: Given) => void} act
 * @returns {((...given: Given) => void) & {cancel: () => void}}
 */
export function afterPause(milliseconds, act) {
  /** @type {number | undefined} */
  let timer;
  const later = (/** @type {Given} */ ...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => act(...given), milliseconds);
  };
  return Object.assign(later, { cancel: () => clearTimeout(timer) });
}
