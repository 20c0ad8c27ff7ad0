/** Wires the page: what a person does on the one side, what is asked and shown on the other. */

import { nameWindow, questionInAddress, rememberQuestion } from "./address.js";
import { ask, askOn } from "./asking.js";
import { byId } from "./dom.js";
import { receivePhotos } from "./drop.js";
import { isModified } from "./keyboard.js";
import { Latest } from "./latest.js";
import { Photos } from "./photos.js";
import { ProblemError } from "./problem.js";
import { Problems } from "./problems.js";
import { QueryBox } from "./query.js";
import { EMPTY, hasPicture, isEmpty } from "./question.js";
import { Refine } from "./refine.js";
import { Screen } from "./screen.js";
import { Start } from "./start.js";
import { themeSwitch } from "./theme.js";
import { Tray } from "./tray.js";

/** @typedef {import("./question.js").Question} Question */

/** HTTP status of a page whose search is over, because the collection has changed. */
const GONE = 410;

const latest = new Latest();
const photos = new Photos();
const problems = new Problems(byId("problem"));
/** @type {Question} */
let asked = EMPTY;
/** Reads what the start shows. */
const reading = new Latest();
/** Whether that failed, so that the start has to be read when it is seen next. */
let isStartStale = false;
/** The control that is still changing the same thing, so that its step of the history is replaced. */
let busyControl = "";

const query = new QueryBox({
  onPause: (text) => change({ text }, "typing"),
  onAsk(text) {
    change({ text }, "typing");
    busyControl = "";
  },
  onClear: () => change({ text: "" }, "typing"),
});
/** @type {Screen} */
const screen = new Screen(query, { onChange: change, onAsk: begin, onMore: showMore });
const refine = new Refine(byId("refine"), {
  onChange: change,
  onError: (error) => problems.tell(error, run),
});
const start = new Start(byId("start"), byId("counts"), {
  onExample: (text) => begin({ text }),
  onPicture: ({ id }) => begin({ picture: id }),
  onAdd: () => byId("add").click(),
});
const tray = new Tray(byId("tray"), showAdded);

receivePhotos({
  onSearch: (file) => begin({ photo: photos.keep(file) }),
  onTogether: (file) => change({ picture: null, region: null, find: "pictures", photo: photos.keep(file) }),
  onAdd: (files, folders) => tray.add(files, folders),
  onArrive: () => screen.closeDetail(),
  hasSentence: () => query.text !== "",
});
themeSwitch(byId("theme"));
byId("home").addEventListener("click", (/** @type {MouseEvent} */ event) => {
  // It is to open in another tab or window.
  if (isModified(event) || event.shiftKey) return;
  event.preventDefault();
  begin({});
});
byId("skip").addEventListener("click", (/** @type {Event} */ event) => {
  // A step of the history without a photo would put away the one that asks.
  event.preventDefault();
  byId("content").focus();
});
addEventListener("popstate", restore);
addEventListener("keydown", (event) => {
  if (byId("detail").open || isModified(event)) return;
  if (event.key === "Escape") screen.unpoint();
  if (event.key === "/" && !isWriting(event.target)) {
    event.preventDefault();
    query.focus();
  }
});
refreshStart();
restore();

/** Asks what the address and the history say. */
function restore() {
  screen.closeDetail();
  busyControl = "";
  asked = questionInAddress();
  query.text = asked.text;
  refine.override(asked, "");
  // A photo of an earlier visit is gone.
  if (!photos.get(asked.photo)) asked.photo = null;
  nameWindow(asked);
  run();
}

/**
 * Asks something new.
 * @param {Partial<Question>} question
 */
function begin(question) {
  change({ ...EMPTY, ...question });
}

/**
 * Asks something else: the question with some of it changed.
 * @param {Partial<Question>} part
 * @param {string} [control]  that goes on changing it
 */
function change(part, control = "") {
  screen.closeDetail();
  asked = { ...asked, ...part };
  // What is being typed stands there already, and may be ahead of what is asked.
  if (part.text !== undefined && control !== "typing") query.text = part.text;
  refine.override(part, control);
  rememberQuestion(asked, { replace: control !== "" && control === busyControl });
  busyControl = control;
  run();
}

function run() {
  query.besidePhoto = hasPicture(asked);
  refine.show(asked);
  if (hasPicture(asked)) showPhoto();
  if (isEmpty(asked)) {
    latest.stop();
    query.busy = false;
    problems.clear();
    screen.showStart();
    if (isStartStale) refreshStart();
  } else find(asked);
}

/** Pictures came in: they may be among what is found. */
function showAdded() {
  refreshStart();
  refine.refresh();
  if (isEmpty(asked)) return;
  // Who has gone on to further pages would lose them, and the place that was looked at.
  if ((screen.shown?.pages ?? 1) > 1) problems.tell("Pictures were added since this search.", run, "Search again");
  else find(asked);
}

function showPhoto() {
  const { picture, photo } = asked;
  const kept = photos.get(photo);
  const file = kept?.photo;
  const source = {
    key: kept ? `visit ${photo}` : `stored ${picture}`,
    url: kept ? kept.url : `images/${encodeURIComponent(picture ?? "")}/thumbnail`,
    alt: kept ? "Your photo" : "The picture that asks",
    onAdd: file instanceof File ? () => tray.add([file]) : null,
  };
  screen.showPhoto(source, asked);
}

/** @param {Question} question */
async function find(question) {
  const signal = latest.start();
  screen.expect();
  query.busy = true;
  try {
    const answer = await ask(question, photoOf(question), signal, tellWaiting);
    const prints = await screen.prepare(question, answer.results);
    signal.throwIfAborted();
    screen.show(question, answer, prints);
    refine.showEffect(answer);
    problems.clear();
  } catch (error) {
    if (!signal.aborted) problems.tell(error, run);
  } finally {
    if (!signal.aborted) {
      query.busy = false;
      screen.photo.settled();
    }
  }
}

/**
 * Shows the next page below what is there.
 * @returns {Promise<HTMLElement[] | null>}
 */
async function showMore() {
  // An answer is on its way, to this question or another: it brings pages of its own.
  if (!screen.shown || screen.shown.question !== asked || query.busy) return null;
  const { question, answer } = screen.shown;
  const { signal } = latest;
  try {
    const page = await askOn(question, photoOf(question), signal, answer, tellWaiting);
    const prints = await screen.prepare(question, page.results);
    signal.throwIfAborted();
    problems.clear();
    return screen.append(page, prints);
  } catch (error) {
    const changed = error instanceof ProblemError && error.status === GONE;
    if (!signal.aborted) problems.tell(changed ? "The collection has changed since this search." : error, run);
    return null;
  }
}

/** @param {Question} question */
function photoOf(question) {
  return photos.get(question.photo)?.photo ?? null;
}

/** @param {number} seconds */
function tellWaiting(seconds) {
  problems.tellWaiting(seconds);
}

async function refreshStart() {
  const signal = reading.start();
  try {
    await start.refresh(signal, (seconds) => isEmpty(asked) && tellWaiting(seconds));
    isStartStale = false;
    if (isEmpty(asked)) problems.clear();
  } catch (error) {
    if (signal.aborted) return;
    isStartStale = true;
    if (isEmpty(asked)) problems.tell(error, refreshStart);
  }
}

/** @param {EventTarget | null} target */
function isWriting(target) {
  return target instanceof HTMLTextAreaElement || (target instanceof HTMLInputElement && target.type === "text");
}
