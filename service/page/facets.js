/** The tags of the collection with how many results carry them; pressing one filters the search. */

import { tagCounts } from "./api.js";
import { counted, element } from "./dom.js";
import { Latest } from "./latest.js";

const FIRST = 24;

export class Facets {
  #latest = new Latest();
  /** What the tags shown belong to. */
  #shown = "";

  /**
   * @param {(tags: string[]) => void} onTags  the tags chosen now
   * @param {(error: unknown) => void} onError
   */
  constructor(onTags, onError) {
    this.onTags = onTags;
    this.onError = onError;
    this.list = element("ul", { class: "facets" });
    this.element = element("div", { role: "group", "aria-label": "Tags" }, element("h2", {}, "Tags"), this.list);
  }

  /** The collection has changed: the counts have to be read anew. */
  forget() {
    this.#shown = "";
  }

  /**
   * Shows the tags that can still be chosen; the earlier ones stay until then.
   * @param {"image" | "text"} kind  of what is found
   * @param {string[]} tags  chosen already
   */
  async show(kind, tags) {
    const wanted = JSON.stringify([kind, tags]);
    if (wanted === this.#shown) return;
    const signal = this.#latest.start();
    try {
      const counts = await tagCounts(kind, tags, signal);
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
    const focused = this.list.contains(document.activeElement) ? document.activeElement?.getAttribute("data-tag") : null;
    const items = counts.map(({ tag, count }, i) => {
      const chosen = tags.includes(tag);
      const pressed = () => this.onTags(chosen ? tags.filter((other) => other !== tag) : [...tags, tag]);
      const button = element("button", { type: "button", class: "facet", "aria-pressed": String(chosen), onclick: pressed }, tag, element("small", {}, String(count)));
      button.dataset.tag = tag;
      return element("li", { hidden: i >= FIRST && !chosen }, button);
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
    if (focused) {
      /** @type {HTMLElement | null} */ (this.list.querySelector(`[data-tag="${CSS.escape(focused)}"]`))?.focus();
    }
  }
}
