/**
 * The key of a service that asks for one: kept in the browser, sent with each request, asked for
 * when the service refuses (401).
 */

import { element } from "./dom.js";

const NAME = "sightline-key";

/** The answer that a person is about to give; many requests may wait for it. @type {Promise<boolean> | null} */
let asked = null;

/** The key where the browser forbids storage: then it lasts as long as the page. @type {string | null} */
let inMemory = null;

/** @returns {string | null} */
export function currentKey() {
  try {
    return sessionStorage.getItem(NAME) ?? localStorage.getItem(NAME) ?? inMemory;
  } catch {
    return inMemory;
  }
}

/**
 * @param {string} key
 * @param {boolean} longer  whether the next visits have it too
 */
function keep(key, longer) {
  forget();
  try {
    (longer ? localStorage : sessionStorage).setItem(NAME, key);
  } catch (error) {
    console.info("The key is not remembered:", error);
    inMemory = key;
  }
}

function forget() {
  inMemory = null;
  try {
    sessionStorage.removeItem(NAME);
    localStorage.removeItem(NAME);
  } catch (error) {
    console.info("No key is remembered:", error);
  }
}

/** @returns {Record<string, string>} */
export function keyHeaders() {
  const key = currentKey();
  return key === null ? {} : { Authorization: `Bearer ${key}` };
}

/**
 * fetch with the key; asks for one, and fetches again, as long as the service refuses it.
 * @param {URL | string} url
 * @param {RequestInit} [options]
 */
export async function fetchWithKey(url, options = {}) {
  for (;;) {
    const sent = currentKey();
    const headers = { ...options.headers, ...keyHeaders() };
    const response = await fetch(url, { ...options, headers });
    if (response.status !== 401 || !(await askForKey(sent))) return response;
  }
}

/**
 * Asks for a key, unless there is another one by now than the one that was refused.
 * @param {string | null} refused
 * @returns {Promise<boolean>}  whether it is worth asking the service again
 */
export async function askForKey(refused) {
  if (currentKey() !== refused) return true;
  asked ??= new KeyDialog(refused !== null).answer().finally(() => (asked = null));
  return asked;
}

/** Offers to forget the key, once for each visit. */
function offerToForget() {
  if (currentKey() === null || document.querySelector(".keyed")) return;
  const onclick = () => {
    forget();
    location.reload();
  };
  const button = element("button", { type: "button", onclick }, "Forget it");
  document.body.append(element("footer", { class: "keyed" }, "This page uses a key. ", button));
}

class KeyDialog {
  /** @param {boolean} wasRefused  whether there was a key, and the service doesn't know it */
  constructor(wasRefused) {
    this.field = element("input", {
      ...{ type: "password", id: "key", required: true, pattern: "[!-~]+", spellcheck: "false" },
      ...{ autocomplete: "current-password", autocapitalize: "none", placeholder: "sl_\u2026" },
      ...{ "aria-describedby": "key-problem", "aria-invalid": String(wasRefused) },
    });
    this.remember = element("input", { type: "checkbox" });
    const told = wasRefused ? "The service doesn't know the key that this page has." : "";
    const later = () => this.dialog.close();
    const form = element(
      "form",
      { onsubmit: (/** @type {Event} */ event) => this.#take(event) },
      element("h2", { id: "key-title" }, "This collection needs a key"),
      element("p", {}, "Whoever runs it can give you one."),
      element("label", { for: "key" }, "Key"),
      this.field,
      element("p", { class: "told", id: "key-problem", role: "alert" }, told),
      element("label", { class: "remember" }, this.remember, "Remember it in this browser"),
      element(
        "div",
        { class: "choices" },
        element("button", { type: "submit", class: "action strong" }, "Use this key"),
        element("button", { type: "button", class: "action", onclick: later }, "Not now"),
      ),
    );
    this.dialog = element("dialog", { class: "key", "aria-labelledby": "key-title" }, form);
    // Keys typed here are no shortcuts of the page.
    this.dialog.addEventListener("keydown", (event) => event.stopPropagation());
  }

  /** Shows the dialog. @returns {Promise<boolean>} false when nothing was given */
  answer() {
    document.body.append(this.dialog);
    this.dialog.showModal();
    return new Promise((resolve) => {
      this.dialog.addEventListener("close", () => {
        const given = this.dialog.returnValue === "given";
        this.dialog.remove();
        if (given) offerToForget();
        resolve(given);
      });
    });
  }

  /** @param {Event} event */
  #take(event) {
    event.preventDefault();
    keep(this.field.value, this.remember.checked);
    this.dialog.close("given");
  }
}

offerToForget();
