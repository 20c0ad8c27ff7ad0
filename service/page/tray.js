/** Photos on their way into the collection, a few at a time. */

import { byId, counted, element } from "./dom.js";
import { passFocus } from "./keyboard.js";
import { Upload } from "./upload.js";

const AT_ONCE = 3;

export class Tray {
  /** @type {Upload[]} */
  #uploads = [];
  #folders = 0;
  /** Whether pictures came in that nobody was told of. */
  #hasNews = false;

  /**
   * @param {HTMLElement} root
   * @param {() => void} onDone  called when nothing is left to send and something was added
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

  /**
   * @param {File[]} files
   * @param {number} [folders]  that came with them, and are left out
   */
  add(files, folders = 0) {
    this.#folders += folders;
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
    this.#hasNews ||= upload.isNew;
    // What went wrong is seen even where the tray was put away.
    if (upload.state === "failed") this.root.hidden = false;
    this.#sendMore();
    if (!this.#hasNews || this.#each("waiting", "sending").length) return;
    this.#hasNews = false;
    this.onDone();
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
    const shown = /** @type {[HTMLElement, boolean][]} */ ([
      [this.cancelAll, left > 0],
      [this.retryAll, left === 0 && failed > 0],
    ]);
    for (const [button, isShown] of shown) {
      if (!isShown) passFocus(button, this.list);
      button.hidden = !isShown;
    }
    const told = [
      left ? `Adding ${counted(left, "photo", "photos")}` : "",
      !left && added ? `${counted(added, "photo is", "photos are")} in the collection` : "",
      failed ? `${failed} refused` : "",
      cancelled ? `${cancelled} cancelled` : "",
      this.#folders ? `${counted(this.#folders, "folder", "folders")} left out: drop the photos in it` : "",
    ];
    this.summary.textContent = told.filter(Boolean).join(", ");
  }

  #close() {
    passFocus(this.root, byId("add"));
    this.root.hidden = true;
    if (this.#each("waiting", "sending").length) return;
    this.list.replaceChildren();
    this.#uploads = [];
    this.#folders = 0;
  }
}

/**
 * @param {string} name
 * @param {() => void} onclick
 */
function quiet(name, onclick) {
  return element("button", { type: "button", class: "quiet", onclick }, name);
}
