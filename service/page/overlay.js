/** A spotlight over a picture: everything is dimmed but the places that a word looked at. */

import { SIDE, heatMap } from "./heat.js";

const DARKNESS = 0.86;

/** One canvas that lies over a picture and is stretched to its size by CSS. */
export class Overlay {
  constructor() {
    this.element = document.createElement("canvas");
    this.element.className = "overlay";
    this.element.width = SIDE;
    this.element.height = SIDE;
    this.element.setAttribute("aria-hidden", "true");
  }

  /**
   * Lights the regions, or nothing (the picture as it is) when null.
   * @param {import("./heat.js").Attention | null} regions
   * @param {number} [darkness]  of what was not looked at, 0..1
   */
  light(regions, darkness = DARKNESS) {
    this.element.classList.toggle("lit", regions !== null);
    if (regions) this.#paint(heatMap(regions), darkness);
  }

  /**
   * @param {Float32Array} map
   * @param {number} darkness
   */
  #paint(map, darkness) {
    const context = this.element.getContext("2d");
    if (!context) throw new Error("the browser gives no 2d canvas");
    const pixels = context.createImageData(SIDE, SIDE);
    map.forEach((value, at) => {
      pixels.data.set([9, 13, 15, 255 * darkness * (1 - value) ** 1.4], at * 4);
    });
    context.putImageData(pixels, 0, 0);
  }
}
