/** Wires the page: what a person does on the one side, what is asked and shown on the other. */

import { queryInAddress, rememberQuery } from "./address.js";
import { searchPictures, searchSentences } from "./api.js";
import { Detail } from "./detail.js";
import { byId } from "./dom.js";
import { receivePhotos } from "./drop.js";
import { fetchWithKey } from "./key.js";
import { Latest } from "./latest.js";
import { Photo } from "./photo.js";
import { Pointing } from "./pointing.js";
import { QueryBox } from "./query.js";
import { Results, spoken } from "./results.js";
import { Sightlines } from "./sightlines.js";
import { Start } from "./start.js";
import { Tray } from "./tray.js";

const PICTURES = 24;
const SENTENCES = 12;

const latest = new Latest();
const sightlines = new Sightlines(byId("sightlines"));
const detail = new Detail(byId("detail"), {
  onAskSentences: (result) => askIndexed(result),
  onClose: (result) => results.focus(result.id),
});
let pointing = new Pointing();
/** @type {import("./api.js").Result[]} */
let shown = [];
/** Photos asked in this visit, for the Back button. @type {Blob[]} */
const photos = [];
/** Whether the query in the address was typed only, so that the next one may replace it. */
let typing = false;

const results = new Results(byId("pictures"), (id) => detail.open(shown, id));
const photo = new Photo(byId("photo"));
const start = new Start(byId("start"), byId("counts"), {
  onExample: (query) => ask(query),
  onPicture: (item) => askIndexed(item),
  onAdd: () => byId("add").click(),
});
const tray = new Tray(byId("tray"), () => {
  refreshStart();
  if (document.body.dataset.view === "pictures") findPictures(query.text);
});
const query = new QueryBox({
  onPause(text) {
    rememberQuery(text, { replace: typing });
    typing = true;
    findPictures(text);
  },
  onAsk(text) {
    rememberQuery(text, { replace: typing });
    typing = false;
    findPictures(text);
  },
  onClear() {
    rememberQuery("", { replace: typing });
    typing = false;
    showStart();
  },
});

receivePhotos({
  onSearch(file) {
    photos.push(file);
    rememberQuery("", { photo: photos.length - 1 });
    findSentences(file);
  },
  onAdd: (files) => tray.add(files),
});

byId("home").addEventListener("click", (/** @type {Event} */ event) => {
  event.preventDefault();
  rememberQuery("");
  restore();
});
addEventListener("popstate", restore);
addEventListener("keydown", (event) => {
  if (byId("detail").open) return;
  if (event.key === "Escape") pointing.clear();
  if (event.key === "/" && !(event.target instanceof HTMLTextAreaElement)) {
    event.preventDefault();
    query.focus();
  }
});
refreshStart();
restore();

/** Shows what the address and the history say. */
function restore() {
  typing = false;
  const asked = queryInAddress();
  const kept = photos[history.state?.photo];
  query.text = asked;
  if (asked) findPictures(asked);
  else if (kept) findSentences(kept);
  else showStart();
}

/** @param {string} text */
function ask(text) {
  query.text = text;
  typing = false;
  rememberQuery(text);
  findPictures(text);
}

function showStart() {
  latest.stop();
  query.busy = false;
  sightlines.show(null);
  tellProblem(null);
  view("start");
}

/** @param {string} text */
async function findPictures(text) {
  await answering(async (signal) => {
    const answer = await searchPictures(text, PICTURES, signal);
    const prints = await results.prepare(answer);
    signal.throwIfAborted();
    pointing = new Pointing();
    view("pictures");
    results.show(answer, prints, pointing);
    shown = answer.results;
    query.showWords(text, answer.results[0]?.explanation?.words ?? [], pointing);
    pointing.onChange(() => aim(pointing.word, (key) => query.wordElement(key), results));
    announce(spoken(answer));
  });
}

/** @param {Blob} picture */
async function findSentences(picture) {
  query.text = "";
  photo.preview(picture, picture instanceof File ? () => tray.add([picture]) : null);
  view("photo");
  scrollTo({ top: 0 });
  await answering(async (signal) => {
    const answer = await searchSentences(picture, SENTENCES, signal);
    pointing = new Pointing();
    photo.show(answer, pointing);
    const word = (/** @type {string} */ key) =>
      byId("photo").querySelector(`.word[data-word="${CSS.escape(key)}"]`);
    pointing.onChange(() => aim(pointing.word, word, photo));
    announce(spoken(answer));
  });
  photo.settled();
}

/**
 * A picture of the collection, asked for its sentences.
 * @param {import("./api.js").Item} item
 */
async function askIndexed(item) {
  const answer = await fetchWithKey(new URL(item.url ?? "", document.baseURI));
  const picture = await answer.blob();
  photos.push(picture);
  rememberQuery("", { photo: photos.length - 1 });
  findSentences(picture);
}

/**
 * Runs one question: shows that it runs, and what went wrong in words.
 * @param {(signal: AbortSignal) => Promise<void>} question
 */
async function answering(question) {
  const signal = latest.start();
  sightlines.show(null);
  document.body.classList.remove("pointing");
  query.busy = true;
  try {
    await question(signal);
    if (!signal.aborted) tellProblem(null);
  } catch (error) {
    if (signal.aborted) return;
    tellProblem(error);
  } finally {
    if (!signal.aborted) query.busy = false;
  }
}

/**
 * Draws the lines from a word to where it looked.
 * @param {string | null} key
 * @param {(key: string) => Element | null} wordElement
 * @param {{targets: (key: string, below: number) => import("./sightlines.js").Target[]}} seen
 */
function aim(key, wordElement, seen) {
  document.body.classList.toggle("pointing", key !== null);
  if (key === null) {
    sightlines.show(null);
    return;
  }
  sightlines.show(() => {
    const from = wordElement(key)?.getBoundingClientRect();
    const { bottom } = byId("ask").getBoundingClientRect();
    return from ? { from, targets: seen.targets(key, bottom) } : null;
  });
}

async function refreshStart() {
  try {
    await start.refresh();
  } catch (error) {
    tellProblem(error);
  }
}

/** @param {"start" | "pictures" | "photo"} name */
function view(name) {
  document.body.dataset.view = name;
  for (const each of ["start", "pictures", "photo"]) byId(each).hidden = each !== name;
}

/** @param {unknown} error  null clears it */
function tellProblem(error) {
  const problem = byId("problem");
  problem.hidden = error === null;
  problem.textContent = error instanceof Error ? error.message : "";
}

/** @param {string} sentence */
function announce(sentence) {
  byId("announcement").textContent = sentence;
}
