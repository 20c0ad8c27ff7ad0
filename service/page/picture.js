/**
 * Pictures of the collection in <img>. An <img> can't send a key, so with one in use the picture is
 * fetched and shown from memory.
 */

import { currentKey, fetchWithKey } from "./key.js";

/** Pictures under way: an <img> without an address yet can't tell when it is ready. */
const underWay = new WeakMap();

/**
 * Shows a picture; what can't be had counts as an error of the image.
 * @param {HTMLImageElement} image
 * @param {string} url
 */
export function showPicture(image, url) {
  if (currentKey() === null || url.startsWith("blob:")) image.src = url;
  else underWay.set(image, fetchInto(image, url));
}

/**
 * When a picture can be drawn. Rejects when it never can.
 * @param {HTMLImageElement} image
 */
export async function decoded(image) {
  await underWay.get(image);
  await image.decode();
}

/**
 * @param {HTMLImageElement} image
 * @param {string} url
 */
async function fetchInto(image, url) {
  try {
    const response = await fetchWithKey(new URL(url, document.baseURI));
    if (!response.ok) throw new Error(`${url} answered ${response.status}`);
    const address = URL.createObjectURL(await response.blob());
    const forget = () => URL.revokeObjectURL(address);
    image.addEventListener("load", forget, { once: true });
    image.addEventListener("error", forget, { once: true });
    image.src = address;
  } catch (error) {
    console.warn(error);
    image.dispatchEvent(new Event("error"));
  }
}
