/** Photos on their way into the collection, each with its progress and its outcome in words. */

import { addPicture } from "./api.js";
import { counted, element } from "./dom.js";

const AT_ONCE = 2;

export class Tray {
  /** @type {{file: File, row: Row}[]} */
  #waiting = [];
  #running = 0;
  #added = 0;
  #failed = 0;

  /**
   * @param {HTMLElement} root
   * @param {() => void} onDone  called when nothing is left to send
   */
  constructor(root, onDone) {
    this.root = root;
    this.onDone = onDone;
    this.summary = element("p", { class: "summary", role: "status", "aria-live": "polite" });
    this.list = element("ul", {});
    const close = element("button", { type: "button", class: "quiet", onclick: () => this.#close() }, "Close");
    this.root.append(element("div", { class: "top" }, this.summary, close), this.list);
  }

  /** @param {File[]} files */
  add(files) {
    for (const file of files) {
      const row = new Row(file);
      this.list.append(row.element);
      this.#waiting.push({ file, row });
    }
    this.root.hidden = false;
    this.#tell();
    while (this.#running < AT_ONCE && this.#waiting.length) this.#sendNext();
  }

  async #sendNext() {
    const next = this.#waiting.shift();
    if (!next) return;
    this.#running += 1;
    try {
      const isNew = await addPicture(next.file, (sent) => next.row.progress(sent));
      next.row.done(isNew ? "added" : "was there already");
      this.#added += 1;
    } catch (error) {
      next.row.failed(error instanceof Error ? error.message : String(error));
      this.#failed += 1;
    }
    this.#running -= 1;
    this.#tell();
    if (this.#waiting.length) this.#sendNext();
    else if (this.#running === 0) this.onDone();
  }

  #tell() {
    const left = this.#waiting.length + this.#running;
    const told = [
      left ? `Adding ${counted(left, "photo", "photos")}` : "",
      !left && this.#added ? `${counted(this.#added, "photo is", "photos are")} in the collection` : "",
      this.#failed ? `${this.#failed} refused` : "",
    ];
    this.summary.textContent = told.filter(Boolean).join(", ");
  }

  #close() {
    this.root.hidden = true;
    if (this.#waiting.length || this.#running) return;
    this.list.replaceChildren();
    this.#added = 0;
    this.#failed = 0;
  }
}

class Row {
  /** @param {File} file */
  constructor(file) {
    this.state = element("span", { class: "state" }, "waiting");
    this.element = element("li", {}, element("span", { class: "name" }, file.name), this.state);
  }

  /** @param {number} sent  0..1 */
  progress(sent) {
    this.element.style.setProperty("--part", String(sent));
    this.state.textContent = sent < 1 ? `${Math.round(sent * 100)}\u202f% sent` : "looking at it";
  }

  /** @param {string} outcome */
  done(outcome) {
    this.element.style.removeProperty("--part");
    this.element.classList.add("done");
    this.state.textContent = outcome;
  }

  /** @param {string} reason */
  failed(reason) {
    this.element.style.removeProperty("--part");
    this.element.classList.add("failed");
    this.state.textContent = reason;
  }
}
