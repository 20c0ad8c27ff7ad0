/** Words that can be pointed at: by mouse, by keyboard, by tapping. */

import { element } from "./dom.js";
import { isModified } from "./keyboard.js";

/**
 * A button for one word.
 * @param {string} text
 * @param {string} key  what the pointing calls this word
 * @param {import("./pointing.js").Pointing} pointing
 */
export function wordButton(text, key, pointing) {
  const button = element("button", { type: "button", class: "word", "aria-pressed": "false" }, text);
  button.dataset.word = key;
  button.addEventListener("pointerenter", (event) => {
    if (event.pointerType !== "touch") pointing.hover(key);
  });
  button.addEventListener("pointerleave", () => pointing.hover(null));
  button.addEventListener("focus", () => {
    if (button.matches(":focus-visible")) pointing.hover(key);
  });
  button.addEventListener("blur", () => pointing.hover(null));
  button.addEventListener("click", () => pointing.pin(key));
  pointing.onChange(() => {
    button.classList.toggle("lit", pointing.word === key);
    button.setAttribute("aria-pressed", String(pointing.pinned === key));
  });
  return button;
}

/**
 * One stop for the Tab key among many: arrows, Home and End move inside. Once for each group;
 * members that come later are set by `oneStop`.
 * @param {HTMLElement} group
 * @param {string} selector  of the members
 */
export function roving(group, selector) {
  const members = () => /** @type {HTMLElement[]} */ ([...group.querySelectorAll(selector)]);
  oneStop(members());
  group.addEventListener("focusin", (event) => {
    const at = members().indexOf(/** @type {HTMLElement} */ (event.target));
    if (at >= 0) oneStop(members(), at);
  });
  group.addEventListener("keydown", (event) => {
    if (isModified(event)) return;
    const all = members();
    const at = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const to = destination(event.key, at, all);
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    all[to].focus();
  });
}

/**
 * Lets the Tab key stop at one of many only.
 * @param {HTMLElement[]} members
 * @param {number} [at]  where it stops
 */
export function oneStop(members, at = 0) {
  members.forEach((member, i) => (member.tabIndex = i === at ? 0 : -1));
}

/**
 * @param {string} key
 * @param {number} at
 * @param {HTMLElement[]} all
 * @returns {number | undefined}
 */
function destination(key, at, all) {
  switch (key) {
    case "ArrowRight":
      return Math.min(at + 1, all.length - 1);
    case "ArrowLeft":
      return Math.max(at - 1, 0);
    case "ArrowDown":
      return nearestInLine(at, all, 1);
    case "ArrowUp":
      return nearestInLine(at, all, -1);
    case "Home":
      return 0;
    case "End":
      return all.length - 1;
    default:
      return undefined;
  }
}

/**
 * The member of the next line below (1) or above (-1) whose middle is nearest.
 * @param {number} at
 * @param {HTMLElement[]} all
 * @param {1 | -1} direction
 */
function nearestInLine(at, all, direction) {
  const boxes = all.map((member) => member.getBoundingClientRect());
  const here = boxes[at];
  const beyond = boxes
    .map((box, i) => ({ i, gap: (box.top - here.top) * direction, box }))
    .filter(({ gap }) => gap > here.height / 2);
  const line = Math.min(...beyond.map(({ gap }) => gap));
  const middle = (/** @type {DOMRect} */ box) => box.left + box.width / 2;
  const near = beyond
    .filter(({ gap }) => gap < line + here.height / 2)
    .sort((a, b) => Math.abs(middle(a.box) - middle(here)) - Math.abs(middle(b.box) - middle(here)));
  return near[0]?.i ?? at;
}
