/** What stands on the page before anything is asked. */

import { collectionCounts, collectionItems } from "./api.js";
import { counted, element } from "./dom.js";
import { patiently } from "./patience.js";
import { showPicture } from "./picture.js";
import { titleOf } from "./titles.js";

const SHEET = 18;
/** Sentences of which a few become examples. */
const SENTENCES = 200;
const EXAMPLES = 4;
const LONGEST_EXAMPLE = 48;
const FALLBACK = [
  "a dog running through grass",
  "people around a table",
  "a red car on the street",
  "mountains behind a lake",
];

export class Start {
  /**
   * @param {HTMLElement} root
   * @param {HTMLElement} counts  where the size of the collection is told
   * @param {{onExample: (query: string) => void, onPicture: (item: import("./api.js").Item) => void,
   *          onAdd: () => void}} listeners
   */
  constructor(root, counts, listeners) {
    this.root = root;
    this.counts = counts;
    this.listeners = listeners;
  }

  /**
   * Reads the collection anew.
   * @param {AbortSignal} signal
   * @param {(seconds: number) => void} onWait  told when the service asks to come back later
   */
  async refresh(signal, onWait) {
    const { pictures, sentences, items, texts } = await patiently(() => read(signal), signal, onWait);
    signal.throwIfAborted();
    this.counts.textContent = [
      counted(pictures, "picture", "pictures"),
      counted(sentences, "sentence", "sentences"),
    ].join(" · ");
    if (pictures === 0) {
      this.root.replaceChildren(this.#empty());
      return;
    }
    this.root.replaceChildren(element("div", { class: "intro" }, this.#examples(texts), promise()), this.#sheet(items));
  }

  #empty() {
    return element(
      "div",
      { class: "empty corners" },
      element("h2", {}, "Nothing to look at yet"),
      element("p", {}, "Drop some photos anywhere on this page, then describe one of them in your own words."),
      element("button", { type: "button", class: "action strong", onclick: this.listeners.onAdd }, "Add photos"),
    );
  }

  /** @param {import("./api.js").Item[]} texts */
  #examples(texts) {
    const examples = chosen(texts);
    const items = examples.map((query) =>
      element(
        "li",
        {},
        element("button", { type: "button", class: "example", onclick: () => this.listeners.onExample(query) }, query),
      ),
    );
    return element("ul", { class: "examples", "aria-label": "Sentences to try" }, ...items);
  }

  /** @param {import("./api.js").Item[]} items */
  #sheet(items) {
    const pictures = items.map((item) => {
      const image = element("img", { alt: "", loading: "lazy", decoding: "async" });
      showPicture(image, item.url ?? "");
      const label = `Find sentences for ${titleOf(item) || `picture ${item.id}`}`;
      const button = element("button", { type: "button", "aria-label": label, onclick: () => this.listeners.onPicture(item) });
      button.append(image);
      return element("li", {}, button);
    });
    return element(
      "div",
      { class: "sheet-of" },
      element("h2", {}, "In the collection", element("span", {}, ", pick one to find its sentences")),
      element("ul", { class: "contact-sheet" }, ...pictures),
    );
  }
}

/**
 * How much there is, and the first of it.
 * @param {AbortSignal} signal
 */
async function read(signal) {
  const { pictures, sentences } = await collectionCounts(signal);
  const [items, texts] = await Promise.all([
    pictures ? collectionItems("images", SHEET, signal) : [],
    pictures && sentences ? collectionItems("texts", SENTENCES, signal) : [],
  ]);
  return { pictures, sentences, items, texts };
}

function promise() {
  return element(
    "p",
    { class: "promise" },
    "Ask in your own words. Then point at any of them to see the part of each picture that answered it.",
  );
}

/**
 * Short sentences of the collection, spread over it; common ones when it has none.
 * @param {import("./api.js").Item[]} texts
 */
function chosen(texts) {
  const short = texts
    .map(({ text }) => (text ?? "").replace(/[\s.]+$/, ""))
    .filter((text) => text.length > 12 && text.length <= LONGEST_EXAMPLE);
  if (short.length === 0) return FALLBACK;
  const stride = Math.max(1, Math.floor(short.length / EXAMPLES));
  return short.filter((_, i) => i % stride === 0).slice(0, EXAMPLES);
}
