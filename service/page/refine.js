/** How the search is narrowed and how deep it looks: tags, words to leave out, two sliders. */

import { movement } from "./changes.js";
import { Chosen, atLeast, deep } from "./chosen.js";
import { element } from "./dom.js";
import { Facets } from "./facets.js";
import { afterPause } from "./pause.js";
import { canBeReranked, findsSentences, hasPicture, hasProbability } from "./question.js";
import { Slider } from "./slider.js";
import { stages } from "./timing.js";

/** Candidates at each step of the slider; null is the service's own number. */
const DEPTHS = [0, 10, 25, 50, null, 200, 500, 1000];
const USUAL = DEPTHS.indexOf(null);
const PER_STEP = 0.05;
const TYPING_RESTS_MS = 250;

export class Refine {
  /** @type {import("./question.js").Question | null} */
  #question = null;

  /**
   * @param {HTMLElement} root
   * @param {{onChange: (part: Partial<import("./question.js").Question>, step?: string) => void,
   *          onError: (error: unknown) => void}} listeners
   *   step names a control that goes on changing the same thing
   */
  constructor(root, { onChange, onError }) {
    this.root = root;
    this.chosen = new Chosen(onChange);
    this.facets = new Facets((tag) => onChange({ tags: this.#tagsWith(tag) }), onError);
    this.depth = new Slider({
      name: "Candidates to re-rank",
      id: "depth",
      steps: DEPTHS.length - 1,
      words: (step) => deep(DEPTHS[step]),
      ends: ["none", "1,000"],
      onStep: (step) => onChange({ depth: DEPTHS[step] }, "depth"),
    });
    this.least = new Slider({
      name: "Probability",
      id: "least",
      steps: 19,
      words: (step) => atLeast(step * PER_STEP),
      ends: ["any", "95\u202f%"],
      onStep: (step) => onChange({ least: Math.round(step * PER_STEP * 100) / 100 }, "least"),
    });
    this.exclude = element("input", { type: "text", id: "exclude", maxlength: 1000, autocomplete: "off", placeholder: "a mug on a desk" });
    this.typed = afterPause(TYPING_RESTS_MS, () => onChange({ exclude: this.exclude.value.trim() }, "exclude"));
    this.exclude.addEventListener("input", this.typed);
    this.effect = element("div", { class: "effect", role: "group", "aria-label": "What the search did" });
    this.panel = element(
      "div",
      { class: "refinements", id: "refinements", hidden: true },
      element(
        "div",
        { class: "narrow" },
        element("div", { class: "field" }, element("label", { for: "exclude" }, "Leave out what shows"), this.exclude),
        this.facets.element,
      ),
      element("div", { class: "look" }, this.depth.element, this.least.element, this.effect),
    );
    this.toggle = element("button", { type: "button", class: "toggle", "aria-expanded": "false", "aria-controls": "refinements", onclick: () => this.#open(this.panel.hidden) }, "Refine");
    this.panel.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      this.#open(false);
      this.toggle.focus();
    });
    root.append(element("div", { class: "bar" }, this.toggle, this.chosen.element), this.panel);
  }

  /**
   * Sets every control to a question, at once; the answer comes later.
   * @param {import("./question.js").Question} question
   */
  show(question) {
    this.#question = question;
    this.chosen.show(question);
    const step = DEPTHS.findIndex((depth) => depth !== null && depth >= (question.depth ?? Infinity));
    this.depth.show(question.depth === null ? USUAL : step < 0 ? DEPTHS.length - 1 : step);
    this.least.show(Math.round(question.least / PER_STEP));
    this.depth.disable(canBeReranked(question) ? null : "nothing is re-ranked between pictures");
    this.least.disable(hasPicture(question) && !hasProbability(question) ? "a likeness has none" : null);
    if (!this.panel.hidden) this.#showTags();
  }

  /**
   * Parts of the question that were set elsewhere: what their own controls were about to tell is
   * out of date.
   * @param {Partial<import("./question.js").Question>} part
   * @param {string} control  that set them
   */
  override({ exclude, depth, least }, control) {
    if (exclude !== undefined && control !== "exclude") {
      this.typed.cancel();
      this.exclude.value = exclude;
    }
    if (depth !== undefined && control !== "depth") this.depth.cancel();
    if (least !== undefined && control !== "least") this.least.cancel();
  }

  /**
   * What became of it.
   * @param {import("./api.js").Answer} answer
   */
  showEffect(answer) {
    const moves = answer.results.map((result, i) => movement(result, i + 1).mark.charAt(0));
    const count = (/** @type {string} */ way) => moves.filter((move) => move === way).length;
    const moved = answer.reranked
      ? `Re-ranking ${answer.reranked.toLocaleString("en")} of ${answer.candidates.toLocaleString("en")} candidates moved ${count("\u2191")} of these up and ${count("\u2193")} down.`
      : "Nothing was re-ranked: this is the order of the first stage.";
    this.effect.replaceChildren(stages(answer), element("p", {}, moved));
  }

  /** The collection has changed. */
  refresh() {
    this.facets.forget();
    if (!this.panel.hidden) this.#showTags();
  }

  /**
   * The tags chosen now, with one more or one less.
   * @param {string} tag
   */
  #tagsWith(tag) {
    const tags = this.#question?.tags ?? [];
    return tags.includes(tag) ? tags.filter((other) => other !== tag) : [...tags, tag];
  }

  /** @param {boolean} open */
  #open(open) {
    this.panel.hidden = !open;
    this.toggle.setAttribute("aria-expanded", String(open));
    if (open) this.#showTags();
  }

  #showTags() {
    if (!this.#question) return;
    this.facets.show(findsSentences(this.#question) ? "text" : "image", this.#question.tags);
  }
}
