/** A slider on a ruled scale, with what it is set to in words. */

import { element } from "./dom.js";
import { afterPause } from "./pause.js";

const RESTS_MS = 120;

export class Slider {
  /**
   * @param {{name: string, id: string, steps: number, words: (step: number) => string,
   *          ends: [string, string], onStep: (step: number) => void}} about
   *   steps: the last step, counted from 0; ends: what stands below the two ends
   */
  constructor({ name, id, steps, words, ends, onStep }) {
    this.words = words;
    this.input = element("input", { type: "range", id, min: 0, max: steps, step: 1 });
    this.output = element("output", { for: id });
    this.later = afterPause(RESTS_MS, onStep);
    this.input.addEventListener("input", () => {
      this.#tell();
      this.later(this.input.valueAsNumber);
    });
    this.input.style.setProperty("--steps", String(steps));
    this.element = element(
      "div",
      { class: "slider" },
      element("label", { for: id }, name),
      this.output,
      this.input,
      element("span", { class: "end", "aria-hidden": "true" }, ends[0]),
      element("span", { class: "end", "aria-hidden": "true" }, ends[1]),
    );
  }

  /** @param {number} step */
  show(step) {
    this.input.value = String(step);
    this.#tell();
  }

  /** Tells of no step that was taken before now. */
  cancel() {
    this.later.cancel();
  }

  /** @param {string | null} reason  why it can't be set now, or null */
  disable(reason) {
    this.input.disabled = reason !== null;
    if (reason) this.output.textContent = reason;
    else this.#tell();
  }

  #tell() {
    const words = this.words(this.input.valueAsNumber);
    this.output.textContent = words;
    this.input.setAttribute("aria-valuetext", words);
  }
}
