/** The tags of the collection with how many results carry them; pressing one filters the search. */

import { tagCounts } from "./api.js";
import { counted, element } from "./dom.js";
import { Latest } from "./latest.js";
import { patiently } from "./patience.js";

const FIRST = 24;

export class Facets {
  #latest = new Latest();
  /** What the tags shown belong to. */
  #shown = "";

  /**
   * @param {(tag: string) => void} onPress
   * @param {(error: unknown) => void} onError
   */
  constructor(onPress, onError) {
    this.onPress = onPress;
    this.onError = onError;
    this.list = element("ul", { class: "facets" });
    this.element = element("div", { role: "group", "aria-label": "Tags" }, element("h2", {}, "Tags"), this.list);
  }

  /** The collection has changed: the counts have to be read anew. */
  forget() {
    this.#latest.stop();
    this.#shown = "";
  }

  /**
   * Shows the tags that can still be chosen; the earlier ones stay until then.
   * @param {"image" | "text"} kind  of what is found
   * @param {string[]} tags  chosen already
   */
  async show(kind, tags) {
    // What is pressed is seen at once, and what was asked for before is not wanted any more.
    for (const button of this.list.querySelectorAll("button")) {
      const { tag } = button.dataset;
      if (tag !== undefined) button.setAttribute("aria-pressed", String(tags.includes(tag)));
    }
    const signal = this.#latest.start();
    const wanted = JSON.stringify([kind, tags]);
    if (wanted === this.#shown) return;
    try {
      // The earlier tags stand there meanwhile: waiting needs no words.
      const counts = await patiently(() => tagCounts(kind, tags, signal), signal, () => {});
      if (signal.aborted) return;
      this.#shown = wanted;
      this.#draw(counts, tags);
    } catch (error) {
      if (!signal.aborted) this.onError(error);
    }
  }

  /**
   * @param {{tag: string, count: number}[]} counts
   * @param {string[]} tags
   */
  #draw(counts, tags) {
    const hasFocus = this.list.contains(document.activeElement);
    const focused = hasFocus ? (document.activeElement?.getAttribute("data-tag") ?? "") : null;
    const items = counts.map(({ tag, count }, i) => {
      const chosen = tags.includes(tag);
      const onclick = () => this.onPress(tag);
      const button = element("button", { type: "button", class: "facet", "aria-pressed": String(chosen), onclick }, tag, element("small", {}, String(count)));
      button.dataset.tag = tag;
      return element("li", { hidden: i >= FIRST && !chosen && tag !== focused }, button);
    });
    const rest = items.filter((item) => item.hidden);
    if (rest.length) {
      const all = element("button", { type: "button", class: "quiet" }, counted(rest.length, "more tag", "more tags"));
      const last = element("li", {}, all);
      all.addEventListener("click", () => {
        for (const item of rest) item.hidden = false;
        last.remove();
        rest[0].querySelector("button")?.focus();
      });
      items.push(last);
    }
    this.list.replaceChildren(...(items.length ? items : [element("li", { class: "note" }, "Nothing here carries a tag.")]));
    if (focused !== null) {
      const same = this.list.querySelector(`[data-tag="${CSS.escape(focused)}"]`);
      /** @type {HTMLElement | null} */ (same ?? this.list.querySelector("button"))?.focus();
    }
  }
}
