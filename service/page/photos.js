/** The photos that asked in this visit, for the Back button; never sent anywhere but to ask. */

export class Photos {
  /** @type {Map<string, {photo: Blob, url: string}>} */
  #kept = new Map();

  /**
   * @param {Blob} photo
   * @returns {string}  by which it is found again
   */
  keep(photo) {
    // The history outlives a visit: a name has to differ from those that earlier visits gave.
    const name = `${performance.timeOrigin} ${this.#kept.size}`;
    this.#kept.set(name, { photo, url: URL.createObjectURL(photo) });
    return name;
  }

  /**
   * @param {string | null} name
   * @returns {{photo: Blob, url: string} | null}  null also for those of an earlier visit
   */
  get(name) {
    return name === null ? null : (this.#kept.get(name) ?? null);
  }
}
