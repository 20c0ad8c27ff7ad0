/** The keyboard: whose a key is, and where the focus goes when what had it goes away. */

/**
 * Whether a key is pressed together with one that makes it the browser's: Alt+Left goes back.
 * @param {KeyboardEvent | MouseEvent} event
 */
export function isModified({ altKey, ctrlKey, metaKey }) {
  return altKey || ctrlKey || metaKey;
}

/**
 * Gives the focus on, if it is in what is about to be hidden or removed.
 * @param {Element} leaving
 * @param {HTMLElement} heir
 */
export function passFocus(leaving, heir) {
  if (leaving.contains(document.activeElement)) heir.focus({ preventScroll: true });
}

/**
 * Replaces controls; where one of them had the focus, the one now in its place takes it.
 * @param {() => Iterable<HTMLElement>} controls
 * @param {() => void} replace
 */
export function keepFocus(controls, replace) {
  const at = [...controls()].indexOf(/** @type {HTMLElement} */ (document.activeElement));
  replace();
  if (at < 0) return;
  const there = [...controls()];
  there[Math.min(at, there.length - 1)]?.focus({ preventScroll: true });
}
