/** A picture shown large, with the spotlight and the height lines of what a word looked at. */

import { contourLines } from "./contours.js";
import { element } from "./dom.js";
import { heatMap, peak } from "./heat.js";
import { Overlay } from "./overlay.js";
import { showPicture } from "./picture.js";

export class Easel {
  /**
   * @param {string} url
   * @param {string} alt
   */
  constructor(url, alt) {
    this.overlay = new Overlay();
    this.image = element("img", { alt });
    this.picture = element("div", { class: "picture" }, this.image, this.overlay.element);
    this.element = element("div", { class: "easel" }, this.picture);
    showPicture(this.image, url);
    // What is no picture is told in words; a broken frame would add nothing.
    this.image.addEventListener("error", () => (this.element.hidden = true));
    this.image.addEventListener("load", () => {
      const aspect = this.image.naturalWidth / this.image.naturalHeight;
      this.element.style.setProperty("--aspect", String(aspect));
    });
  }

  /**
   * @param {import("./heat.js").Attention | null} regions  null shows the picture as it is
   * @param {number} [darkness]  of what was not looked at, 0..1
   */
  light(regions, darkness) {
    this.overlay.light(regions, darkness);
    this.picture.querySelector(".contours")?.remove();
    if (regions?.length) this.picture.append(contourLines(heatMap(regions)));
  }

  /**
   * Where the regions are strongest, in px of the window.
   * @param {import("./heat.js").Attention} regions
   * @returns {import("./sightlines.js").Target}
   */
  target(regions) {
    const [x, y] = peak(heatMap(regions));
    const box = this.image.getBoundingClientRect();
    return { x: box.left + x * box.width, y: box.top + y * box.height, strength: 1 };
  }
}
