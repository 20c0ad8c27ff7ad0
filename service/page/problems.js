/** Where the page tells what went wrong, and offers to try again. */

import { element } from "./dom.js";

export class Problems {
  /** @param {HTMLElement} root  an alert */
  constructor(root) {
    this.root = root;
  }

  clear() {
    this.root.hidden = true;
    this.root.replaceChildren();
  }

  /**
   * @param {unknown} error
   * @param {() => void} onRetry
   */
  tell(error, onRetry) {
    const retry = element("button", { type: "button", class: "quiet", onclick: onRetry }, "Try again");
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
    this.root.replaceChildren(element("p", {}, message), ...actions);
  }
}
