/** The question in the page's address, so that it can be shared and Back works. */

import { EMPTY, hasPicture } from "./question.js";

/**
 * The question that the address and this step of the history hold. Whatever can't be read is as
 * if it weren't there: addresses are typed by hand, too.
 * @returns {import("./question.js").Question}
 */
export function questionInAddress() {
  const { searchParams: given } = new URL(location.href);
  const whole = (/** @type {string} */ name, /** @type {number} */ most) => {
    const number = Number(given.get(name) ?? NaN);
    return Number.isInteger(number) && number >= 0 && number <= most ? number : null;
  };
  return {
    text: given.get("q")?.trim() ?? "",
    exclude: given.get("not")?.trim() ?? "",
    tags: [...new Set(given.getAll("tag"))],
    picture: given.get("like"),
    photo: history.state?.photo ?? null,
    region: readRegion(given.get("region")),
    find: given.get("find") === "pictures" ? "pictures" : EMPTY.find,
    depth: whole("depth", 100_000),
    least: (whole("least", 100) ?? 0) / 100,
  };
}

/**
 * A new step of the history for what was asked; while one thing is still being changed the
 * current step is replaced.
 * @param {import("./question.js").Question} question
 * @param {{replace?: boolean}} [options]
 */
export function rememberQuestion(question, { replace = false } = {}) {
  const address = new URL(location.href);
  address.search = String(parameters(question));
  const state = { photo: question.photo };
  const same = address.href === location.href && question.photo === (history.state?.photo ?? null);
  if (replace || same) history.replaceState(state, "", address);
  else history.pushState(state, "", address);
  nameWindow(question);
}

/** @param {import("./question.js").Question} question */
export function nameWindow(question) {
  const asked = question.text || (hasPicture(question) ? "Photo" : "");
  document.title = asked ? `${asked} · Sightline` : "Sightline";
}

/** @param {import("./question.js").Question} question */
function parameters(question) {
  const { text, exclude, tags, picture, region, find, depth, least } = question;
  const named = new URLSearchParams();
  if (text) named.set("q", text);
  if (picture !== null) named.set("like", picture);
  if (region) named.set("region", region.map((edge) => edge.toFixed(3)).join(","));
  if (hasPicture(question) && find !== EMPTY.find) named.set("find", find);
  if (exclude) named.set("not", exclude);
  for (const tag of tags) named.append("tag", tag);
  if (depth !== null) named.set("depth", String(depth));
  if (least) named.set("least", String(Math.round(least * 100)));
  return named;
}

/**
 * @param {string | null} text
 * @returns {import("./api.js").Box | null}
 */
function readRegion(text) {
  const edges = (text ?? "").split(",").map(Number);
  const [x0, y0, x1, y1] = edges;
  const lies = edges.length === 4 && x0 >= 0 && x0 < x1 && x1 <= 1 && y0 >= 0 && y0 < y1 && y1 <= 1;
  return lies ? [x0, y0, x1, y1] : null;
}
