/** The next page of results: comes by scrolling near, or by pressing its button. */

import { element } from "./dom.js";

/** How far below the window the next page is already fetched. */
const AHEAD = "600px";

export class More {
  /** @type {string | undefined} */
  #cursor;
  #loading = false;
  #near = false;
  /** Whether the next page waits for the button. */
  #rests = false;

  /**
   * @param {() => Promise<HTMLElement[] | null>} onMore
   *   shows the page and gives its results that take the focus; null when it didn't work
   */
  constructor(onMore) {
    this.onMore = onMore;
    this.button = element("button", { type: "button", class: "action", onclick: () => this.#load() }, "Show more");
    this.element = element("div", { class: "more", hidden: true }, this.button);
    const observer = new IntersectionObserver(
      ([{ isIntersecting }]) => {
        this.#near = isIntersecting;
        this.#loadNear();
      },
      { rootMargin: AHEAD },
    );
    observer.observe(this.element);
  }

  /**
   * @param {string | undefined} cursor  undefined: there is no page after this one
   * @param {{rests?: boolean}} [options]  rests: the page is not fetched before it is asked for
   */
  offer(cursor, { rests = false } = {}) {
    this.#cursor = cursor;
    this.#rests = rests;
    this.#loading = false;
    this.element.hidden = cursor === undefined;
    this.element.classList.remove("busy");
    // The observer tells changes only: after a short page the button may still be in sight.
    requestAnimationFrame(() => this.#loadNear());
  }

  #loadNear() {
    if (this.#near && !this.#rests) this.#load();
  }

  async #load() {
    const cursor = this.#cursor;
    if (cursor === undefined || this.#loading) return;
    this.#loading = true;
    this.element.classList.add("busy");
    const pressed = this.button === document.activeElement;
    const shown = await this.onMore();
    if (shown && pressed) shown[0]?.focus();
    if (shown || cursor !== this.#cursor) return;
    // Not again by itself: the button is there for who wants to try.
    this.#rests = true;
    this.#loading = false;
    this.element.classList.remove("busy");
  }
}
