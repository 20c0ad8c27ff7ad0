/** The query in the page's address, so that it can be shared and Back works. */

/** @returns {string} */
export function queryInAddress() {
  return new URL(location.href).searchParams.get("q")?.trim() ?? "";
}

/**
 * A new step of the history for what was asked; while typing the current step is replaced.
 * @param {string} query  empty for the start
 * @param {{replace?: boolean, photo?: number}} [options]  photo: its number in this visit
 */
export function rememberQuery(query, { replace = false, photo } = {}) {
  const address = new URL(location.href);
  if (query) address.searchParams.set("q", query);
  else address.searchParams.delete("q");
  const state = { photo };
  if (replace || (address.href === location.href && photo === undefined)) {
    history.replaceState(state, "", address);
  } else {
    history.pushState(state, "", address);
  }
  document.title = query ? `${query} · Sightline` : "Sightline";
}
