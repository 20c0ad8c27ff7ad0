/** Only the latest request counts: starting one ends the one before. */

export class Latest {
  /** @type {AbortController | null} */
  #current = null;

  /** @returns {AbortSignal} */
  start() {
    this.#current?.abort();
    this.#current = new AbortController();
    return this.#current.signal;
  }

  stop() {
    this.#current?.abort();
    this.#current = null;
  }
}
