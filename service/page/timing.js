/** How long an answer took and what the time went into. */

import { counted, duration, element } from "./dom.js";

/** @type {[string, string][]} */
const STEPS = [
  ["encode", "understand"],
  ["search", "search"],
  ["fetch", "fetch"],
  ["rerank", "re-rank"],
];

/**
 * The time of each stage, with its name.
 * @param {import("./api.js").Answer} answer
 */
export function stages({ took_ms: took }) {
  const parts = STEPS.filter(([step]) => took[step] !== undefined).map(([step, name]) =>
    element(
      "div",
      {},
      element("dt", {}, element("i", { class: step, "aria-hidden": "true" }), name),
      element("dd", {}, duration(took[step])),
    ),
  );
  return element("dl", { class: "stages" }, ...parts);
}

/** @param {import("./api.js").Answer} answer */
export function timing({ took_ms: took, candidates, reranked, degraded }) {
  const bar = element("span", { class: "spent", "aria-hidden": "true" });
  const steps = STEPS.filter(([step]) => took[step] !== undefined);
  for (const [step] of steps) {
    const part = element("i", { class: step });
    part.style.setProperty("--part", String(took[step]));
    bar.append(part);
  }
  const told = steps.map(([step, name]) => `${name} ${duration(took[step])}`).join(", ");
  const depth = degraded
    ? `${reranked} of ${counted(candidates, "candidate", "candidates")} re-ranked before the deadline`
    : `${reranked.toLocaleString("en")} re-ranked`;
  return element(
    "p",
    { class: "timing", title: told },
    element("b", {}, duration(took.total)),
    bar,
    depth,
    element("span", { class: "hidden" }, ` (${told})`),
  );
}
