/** Making elements and formatting what stands in them. */

/**
 * Makes an element: properties that begin with "on" are listeners, booleans are bare attributes.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number | boolean | EventListener | ((event: any) => void)>} [properties]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") made.addEventListener(name.slice(2), value);
    else if (typeof value === "boolean") made.toggleAttribute(name, value);
    else made.setAttribute(name, String(value));
  }
  made.append(...children);
  return made;
}

/**
 * The element of index.html with this id.
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no element #${id}`);
  return found;
}

/**
 * A probability as people read it; never a false 0 % or 100 %.
 * @param {number} probability
 */
export function percent(probability) {
  const whole = Math.round(probability * 100);
  if (whole === 0) return "< 1\u202f%";
  if (whole === 100 && probability < 1) return "> 99\u202f%";
  return `${whole}\u202f%`;
}

/**
 * What a result promises, in short: its probability, or between items of one kind the likeness.
 * @param {{probability: number | null, score: number}} result
 */
export function chance({ probability, score }) {
  return probability === null ? decimal(score) : percent(probability);
}

/** @param {number} score */
export function decimal(score) {
  return score.toFixed(2).replace("-", "\u2212");
}

/**
 * @param {number} count
 * @param {string} singular
 * @param {string} plural
 */
export function counted(count, singular, plural) {
  return `${count.toLocaleString("en")} ${count === 1 ? singular : plural}`;
}

/** @param {number} milliseconds */
export function duration(milliseconds) {
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(1)} s`;
  return `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`;
}

/** Whether the person asked for less movement. */
export function prefersStillness() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
