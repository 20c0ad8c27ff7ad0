/** Shows answers: pictures for a sentence, pictures or sentences for a photo, one opened large. */

import { changesLine, compare, told } from "./changes.js";
import { Detail } from "./detail.js";
import { byId, element } from "./dom.js";
import { More } from "./more.js";
import { Photo } from "./photo.js";
import { Pointing } from "./pointing.js";
import { findsSentences, hasPicture, sameButRefined } from "./question.js";
import { Results } from "./results.js";
import { Sightlines } from "./sightlines.js";
import { timing } from "./timing.js";
import { isFaint, spoken, verdict } from "./verdict.js";

/** @typedef {import("./question.js").Question} Question */

export class Screen {
  #pointing = new Pointing();
  /** @type {{question: Question, answer: import("./asking.js").Shown, pages: number} | null} */
  #shown = null;

  /**
   * @param {import("./query.js").QueryBox} query
   * @param {{onChange: (part: Partial<Question>, control?: string) => void,
   *          onAsk: (part: Partial<Question>) => void,
   *          onMore: () => Promise<HTMLElement[] | null>}} listeners
   *   onChange: part of the question changes; onAsk: a new question begins
   */
  constructor(query, { onChange, onAsk, onMore }) {
    this.query = query;
    this.sightlines = new Sightlines(byId("sightlines"));
    this.more = { found: new More(onMore), alike: new More(onMore), sentences: new More(onMore) };
    this.detail = new Detail(byId("detail"), {
      onAsk,
      onClose: (result) => this.#pictures().focus(result.id),
    });
    const open = (/** @type {string} */ id) => this.detail.open(this.#shown?.answer.results ?? [], id);
    const alike = element("section", { class: "pictures", "aria-label": "Pictures like the photo", hidden: true });
    this.found = new Results(byId("pictures"), open, this.more.found.element);
    this.alike = new Results(alike, open, this.more.alike.element);
    this.photo = new Photo(byId("photo"), alike, this.more.sentences.element, {
      onRegion: (region) => onChange({ region }, region ? "region" : undefined),
      onRemove: () => onChange({ picture: null, photo: null, region: null }),
      onFind: (find) => onChange({ find }),
      onSentence: (text) => onAsk({ text }),
    });
  }

  /** What is on screen, or null. */
  get shown() {
    return this.#shown;
  }

  /** Closes the picture that is opened large: what it stands for is about to change. */
  closeDetail() {
    this.detail.close();
  }

  /** Points at nothing. */
  unpoint() {
    this.#pointing.clear();
  }

  /** A question is on its way: lines to what it may replace would mislead. */
  expect() {
    this.sightlines.show(null);
    document.body.classList.remove("pointing");
  }

  showStart() {
    this.expect();
    this.#shown = null;
    view("start");
  }

  /**
   * Shows the photo that asks, before its results are known.
   * @param {import("./stand.js").Source} source
   * @param {Question} question
   */
  showPhoto(source, question) {
    const isNew = document.body.dataset.view !== "photo";
    this.photo.preview(source, question);
    view("photo");
    if (isNew) scrollTo({ top: 0 });
  }

  /**
   * Makes results ready, so that they can be shown in one step.
   * @param {Question} question
   * @param {import("./api.js").Result[]} results
   */
  async prepare(question, results) {
    return findsSentences(question) ? [] : this.#picturesOf(question).prepare(results);
  }

  /**
   * @param {Question} question
   * @param {import("./asking.js").Shown} answer
   * @param {import("./print.js").Print[]} prints  as prepared
   */
  show(question, answer, prints) {
    const before = this.#shown;
    const refined = before && before.question !== question && sameButRefined(before.question, question);
    const changes = refined ? compare(before.answer.results, answer.results) : null;
    const pointing = new Pointing();
    this.#pointing = pointing;
    this.#shown = { question, answer, pages: 1 };
    // A new answer is seen from its beginning. A part of the photo may be drawn still: that stays
    // below the pointer.
    const { region } = question;
    if (!before || !sameButRefined({ ...before.question, region }, question)) scrollTo({ top: 0 });
    this.#tell([timing(answer), ...(changes ? [changesLine(changes)] : [])]);
    if (findsSentences(question)) {
      this.photo.showKind("sentences");
      this.photo.showSentences(answer.results, pointing);
      pointing.onChange(() => this.#aim(this.photo, (key) => this.photo.wordElement(key)));
    } else {
      const pictures = this.#pictures();
      if (pictures === this.alike) this.photo.showKind("pictures");
      else view("pictures");
      pictures.show(answer.results, prints, isFaint(answer), pointing);
      pointing.onChange(() => this.#aim(pictures, (key) => this.query.wordElement(key)));
    }
    const words = findsSentences(question) ? [] : (answer.results[0]?.explanation?.words ?? []);
    this.query.showWords(question.text, words, pointing);
    this.#below().offer(answer.next_cursor);
    byId("announcement").textContent = spoken(question, answer) + (changes ? ` ${told(changes)}.` : "");
  }

  /**
   * Shows the next page below what is there.
   * @param {import("./asking.js").Page} page
   * @param {import("./print.js").Print[]} prints  as prepared
   * @returns {HTMLElement[]}  what takes the focus, in order
   */
  append(page, prints) {
    if (!this.#shown) return [];
    const { question, answer } = this.#shown;
    const { itself, next_cursor } = page;
    this.#shown.answer = { ...answer, itself, next_cursor, results: [...answer.results, ...page.results] };
    this.#shown.pages += 1;
    const focusable = findsSentences(question)
      ? this.photo.appendSentences(page.results)
      : this.#pictures().append(page.results, prints);
    this.#tell();
    // Where a least probability leaves nothing of a page, hundreds may follow that are empty too.
    this.#below().offer(page.next_cursor, { rests: page.results.length === 0 });
    return focusable;
  }

  /**
   * Tells what the answer amounts to.
   * @param {Node[]} [further]  what stands after it; as it is when left out
   */
  #tell(further) {
    if (!this.#shown) return;
    const { question, answer } = this.#shown;
    const place = findsSentences(question) ? this.photo.verdict : this.#pictures().verdict;
    const kept = further ?? [...place.children].slice(2);
    place.replaceChildren(...verdict(question, answer), ...kept);
  }

  /** @param {Question} question */
  #picturesOf(question) {
    return hasPicture(question) ? this.alike : this.found;
  }

  #pictures() {
    return this.#shown ? this.#picturesOf(this.#shown.question) : this.found;
  }

  #below() {
    if (this.#shown && findsSentences(this.#shown.question)) return this.more.sentences;
    return this.#pictures() === this.alike ? this.more.alike : this.more.found;
  }

  /**
   * Draws the lines from the word that is pointed at to where it looked.
   * @param {{targets: (key: string, below: number) => import("./sightlines.js").Target[]}} seen
   * @param {(key: string) => Element | null} wordElement
   */
  #aim(seen, wordElement) {
    const key = this.#pointing.word;
    document.body.classList.toggle("pointing", key !== null);
    this.sightlines.show(key === null ? null : () => {
      const from = wordElement(key)?.getBoundingClientRect();
      const { bottom } = byId("ask").getBoundingClientRect();
      return from ? { from, targets: seen.targets(key, bottom) } : null;
    });
  }
}

/** @param {"start" | "pictures" | "photo"} name */
function view(name) {
  document.body.dataset.view = name;
  byId("refine").hidden = name === "start";
  for (const each of ["start", "pictures", "photo"]) byId(each).hidden = each !== name;
  // What had the focus is out of sight: the keyboard goes on at what came instead.
  if (document.activeElement?.closest("[hidden]")) byId("content").focus({ preventScroll: true });
}
