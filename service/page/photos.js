/** The photos that asked in this visit, for the Back button; never sent anywhere but to ask. */

export class Photos {
  /** @type {{photo: Blob, url: string}[]} */
  #kept = [];

  /**
   * @param {Blob} photo
   * @returns {number}  by which it is found again
   */
  keep(photo) {
    return this.#kept.push({ photo, url: URL.createObjectURL(photo) }) - 1;
  }

  /**
   * @param {number | null} number
   * @returns {{photo: Blob, url: string} | null}  null also for those of an earlier visit
   */
  get(number) {
    return number === null ? null : (this.#kept[number] ?? null);
  }
}
