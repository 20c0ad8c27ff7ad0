/** Only the latest request counts: starting one ends the one before. */

export class Latest {
  #current = new AbortController();

  /** Of what runs now, and of what belongs to it. */
  get signal() {
    return this.#current.signal;
  }

  /** @returns {AbortSignal} */
  start() {
    this.stop();
    return this.signal;
  }

  stop() {
    this.#current.abort();
    this.#current = new AbortController();
  }
}
