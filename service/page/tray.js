/** Photos on their way into the collection, a few at a time. */

import { counted, element } from "./dom.js";
import { Upload } from "./upload.js";

const AT_ONCE = 3;

export class Tray {
  /** @type {Upload[]} */
  #uploads = [];

  /**
   * @param {HTMLElement} root
   * @param {() => void} onDone  called when nothing is left to send
   */
  constructor(root, onDone) {
    this.root = root;
    this.onDone = onDone;
    this.summary = element("p", { class: "summary", role: "status", "aria-live": "polite" });
    this.list = element("ul", { tabindex: 0, "aria-label": "Photos" });
    this.cancelAll = quiet("Cancel all", () => this.#each("waiting", "sending").forEach((upload) => upload.cancel()));
    this.retryAll = quiet("Try failed again", () => this.#each("failed").forEach((upload) => this.#retry(upload)));
    const close = quiet("Close", () => this.#close());
    this.root.append(element("div", { class: "top" }, this.summary, this.cancelAll, this.retryAll, close), this.list);
  }

  /** @param {File[]} files */
  add(files) {
    for (const file of files) {
      const upload = new Upload(file, () => this.#tell(), (again) => this.#retry(again));
      this.list.append(upload.element);
      this.#uploads.push(upload);
    }
    this.root.hidden = false;
    this.#tell();
    this.#sendMore();
  }

  /** @param {Upload} upload */
  #retry(upload) {
    upload.reset();
    this.#sendMore();
  }

  #sendMore() {
    const free = AT_ONCE - this.#each("sending").length;
    for (const upload of this.#each("waiting").slice(0, Math.max(free, 0))) this.#send(upload);
  }

  /** @param {Upload} upload */
  async #send(upload) {
    await upload.send();
    this.#sendMore();
    if (this.#each("waiting", "sending").length === 0) this.onDone();
  }

  /** @param {...import("./upload.js").State} states */
  #each(...states) {
    return this.#uploads.filter(({ state }) => states.includes(state));
  }

  #tell() {
    const left = this.#each("waiting", "sending").length;
    const added = this.#each("added").length;
    const failed = this.#each("failed").length;
    const cancelled = this.#each("cancelled").length;
    this.cancelAll.hidden = left === 0;
    this.retryAll.hidden = left > 0 || failed === 0;
    const told = [
      left ? `Adding ${counted(left, "photo", "photos")}` : "",
      !left && added ? `${counted(added, "photo is", "photos are")} in the collection` : "",
      failed ? `${failed} refused` : "",
      cancelled ? `${cancelled} cancelled` : "",
    ];
    this.summary.textContent = told.filter(Boolean).join(", ");
  }

  #close() {
    this.root.hidden = true;
    if (this.#each("waiting", "sending").length) return;
    this.list.replaceChildren();
    this.#uploads = [];
  }
}

/**
 * @param {string} name
 * @param {() => void} onclick
 */
function quiet(name, onclick) {
  return element("button", { type: "button", class: "quiet", onclick }, name);
}
