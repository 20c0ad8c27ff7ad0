/** One picture opened: large, with everything that explains why it was found. */

import { chance, decimal, element, percent } from "./dom.js";
import { Easel } from "./easel.js";
import { together } from "./heat.js";
import { isModified } from "./keyboard.js";
import { layerBars } from "./layers.js";
import { likelihood } from "./likelihood.js";
import { Pointing } from "./pointing.js";
import { MIDDLE } from "./region.js";
import { titleOf } from "./titles.js";
import { roving, wordButton } from "./words.js";

const WHOLE = "whole";
const WHOLE_DARKNESS = 0.55;

export class Detail {
  /** @type {import("./api.js").Result[]} */
  #results = [];
  #at = 0;

  /**
   * @param {HTMLDialogElement} dialog
   * @param {{onAsk: (question: Partial<import("./question.js").Question>) => void,
   *          onClose: (result: import("./api.js").Result) => void}} listeners
   *   onAsk: the picture itself asks
   */
  constructor(dialog, listeners) {
    this.dialog = dialog;
    this.listeners = listeners;
    dialog.addEventListener("close", () => listeners.onClose(this.#results[this.#at]));
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close();
    });
    dialog.addEventListener("keydown", (event) => {
      if (isModified(event)) return;
      const inWords = /** @type {Element} */ (event.target).closest(".chips");
      if (event.key === "ArrowRight" && !inWords) this.#go(1);
      if (event.key === "ArrowLeft" && !inWords) this.#go(-1);
    });
  }

  /**
   * @param {import("./api.js").Result[]} results
   * @param {string} id  of the one to open
   */
  open(results, id) {
    this.#results = results;
    this.#at = results.findIndex((result) => result.id === id);
    this.#draw();
    this.dialog.showModal();
  }

  close() {
    if (this.dialog.open) this.dialog.close();
  }

  /** @param {number} step */
  #go(step) {
    const next = this.#at + step;
    if (next < 0 || next >= this.#results.length) return;
    this.#at = next;
    this.#draw();
    const same = this.dialog.querySelector(step > 0 ? ".next:enabled" : ".previous:enabled");
    /** @type {HTMLElement} */ (same ?? this.dialog.querySelector(".close")).focus();
  }

  #draw() {
    const result = this.#results[this.#at];
    const pointing = new Pointing();
    this.dialog.replaceChildren(this.#stage(result, pointing), this.#panel(result, pointing));
    pointing.pin(WHOLE);
  }

  /**
   * @param {import("./api.js").Result} result
   * @param {Pointing} pointing
   */
  #stage(result, pointing) {
    const easel = new Easel(result.url ?? "", titleOf(result) || `Picture ${result.id}`);
    const words = result.explanation?.words ?? [];
    pointing.onChange(() => {
      const whole = pointing.word === WHOLE;
      const lit = whole ? words : words.filter((word) => String(word.start) === pointing.word);
      easel.light(lit.length ? together(lit) : null, whole ? WHOLE_DARKNESS : undefined);
    });
    return element("div", { class: "stage" }, easel.element);
  }

  /**
   * @param {import("./api.js").Result} result
   * @param {Pointing} pointing
   */
  #panel(result, pointing) {
    const title = titleOf(result);
    const parts = [
      this.#bar(),
      ...promised(result),
      ...(title ? [element("h2", {}, title)] : []),
      ...explained(result, pointing),
      element("h3", {}, "How it scored"),
      layerBars(result.stage_scores, this.#results.map((other) => other.stage_scores)),
      element("p", { class: "note" }, "Ticks are the other pictures of this search."),
      ...rank(result, this.#at + 1),
      ...shared(result),
      ...source(result),
      element(
        "div",
        { class: "actions" },
        this.#asking("More like this", result, { find: "pictures" }),
        this.#asking("Find its sentences", result, { find: "sentences" }),
        this.#asking("Ask about a part", result, { find: "pictures", region: MIDDLE }),
      ),
    ];
    return element("div", { class: "panel" }, ...parts);
  }

  /**
   * @param {string} name
   * @param {import("./api.js").Result} result
   * @param {Partial<import("./question.js").Question>} part
   */
  #asking(name, { id }, part) {
    const onclick = () => {
      this.dialog.close();
      this.listeners.onAsk({ picture: id, ...part });
    };
    return element("button", { type: "button", class: "action", onclick }, name);
  }

  #bar() {
    const count = this.#results.length;
    return element(
      "div",
      { class: "steps" },
      element("span", {}, `${this.#at + 1} of ${count}`),
      step("previous", "Previous picture", "M10 3L5 8l5 5", () => this.#go(-1), this.#at === 0),
      step("next", "Next picture", "M6 3l5 5-5 5", () => this.#go(1), this.#at === count - 1),
      step("close", "Close", "M3 3l10 10M13 3L3 13", () => this.dialog.close(), false),
    );
  }
}

/**
 * @param {string} name
 * @param {string} label
 * @param {string} path
 * @param {() => void} onclick
 * @param {boolean} disabled
 */
function step(name, label, path, onclick, disabled) {
  const button = element("button", { type: "button", class: `step ${name}`, "aria-label": label, onclick, disabled });
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  svg.append(line);
  button.append(svg);
  return button;
}

/**
 * @param {import("./api.js").Result} result
 * @param {Pointing} pointing
 */
function explained(result, pointing) {
  const words = result.explanation?.words ?? [];
  if (words.length === 0) return [];
  const most = Math.max(...words.map((word) => word.score), 1e-9);
  const chips = words.map((word) => {
    const chip = wordButton(word.text, String(word.start), pointing);
    chip.append(element("small", {}, decimal(word.score)));
    chip.style.setProperty("--strength", String(Math.max(word.score, 0) / most));
    return chip;
  });
  const group = element(
    "div",
    { class: "chips", role: "toolbar", "aria-label": "Words and how well this picture answers them" },
    wordButton("Whole sentence", WHOLE, pointing),
    ...chips,
  );
  roving(group, ".word");
  return [element("h3", {}, "Where the words looked"), group];
}

/** @param {import("./api.js").Result} result */
function promised(result) {
  const { probability } = result;
  if (probability === null) {
    return [element("p", { class: "chance" }, element("b", {}, chance(result)), " alike, where 1 is the same picture")];
  }
  return [
    element("p", { class: "chance" }, element("b", {}, percent(probability)), " likely to be what the sentence describes"),
    element("p", { class: "likelihood" }, `In words: ${likelihood(probability)}.`),
  ];
}

/**
 * @param {import("./api.js").Result} result
 * @param {number} after
 */
function rank({ rank_before: before, stage_scores: scores }, after) {
  if (scores.entity === null) return [];
  const climbed = before - after;
  const moved =
    climbed > 0 ? `up ${climbed}` : climbed < 0 ? `down ${-climbed}` : "the same";
  const line = element(
    "p",
    { class: "rank" },
    element("span", {}, `${before}`),
    element("i", { "aria-hidden": "true" }),
    element("b", {}, `${after}`),
    element("small", {}, `${moved} after re-ranking`),
  );
  return [element("h3", {}, "Rank"), line];
}

/** @param {import("./api.js").Result} result */
function shared({ explanation }) {
  const { tags = [], concepts = [] } = explanation ?? {};
  return [
    ...named("Both are about", tags.map(({ tag, probability }) => [tag, probability])),
    ...named("Both mean", concepts.map(({ concept, share }) => [concept.split(",")[0], share])),
  ];
}

/**
 * @param {string} heading
 * @param {[string, number][]} found  names and their shares
 */
function named(heading, found) {
  if (found.length === 0) return [];
  const list = found.map(([name, share]) =>
    element("li", {}, name, element("small", {}, percent(share))),
  );
  return [element("h3", {}, heading), element("ul", { class: "tags" }, ...list)];
}

/** @param {import("./api.js").Result} result */
function source({ id, metadata }) {
  const told = [metadata?.credit, metadata?.licence].filter((value) => typeof value === "string");
  return [element("p", { class: "note" }, [id, ...told].join(" · "))];
}
