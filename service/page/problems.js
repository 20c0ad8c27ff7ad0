/** Where the page tells what went wrong, and offers to try again. */

import { byId, element } from "./dom.js";
import { keepFocus, passFocus } from "./keyboard.js";

export class Problems {
  /** @param {HTMLElement} root  an alert */
  constructor(root) {
    this.root = root;
  }

  clear() {
    passFocus(this.root, byId("content"));
    this.root.hidden = true;
    this.root.replaceChildren();
  }

  /**
   * @param {unknown} error
   * @param {() => void} onRetry
   * @param {string} [name]  of trying again
   */
  tell(error, onRetry, name = "Try again") {
    const retry = element("button", { type: "button", class: "quiet", onclick: onRetry }, name);
    this.#show(error instanceof Error ? error.message : String(error), retry);
  }

  /** The service asked to come back later. @param {number} seconds */
  tellWaiting(seconds) {
    this.#show(`The service is busy. Asking again in ${seconds}\u202fs.`);
  }

  /**
   * @param {string} message
   * @param {...Node} actions
   */
  #show(message, ...actions) {
    this.root.hidden = false;
    if (actions.length === 0) passFocus(this.root, byId("content"));
    keepFocus(
      () => this.root.querySelectorAll("button"),
      () => this.root.replaceChildren(element("p", {}, message), ...actions),
    );
  }
}
