/** What went wrong, in words for a person: the service's problem details (RFC 9457) and others. */

const PICTURE_FIELDS = ["/image", "/image_id"];

/** What the service refused. */
export class ProblemError extends Error {
  /**
   * @param {number} status  HTTP status; 0 when no answer came
   * @param {string} message  one or more sentences for a person
   * @param {number | null} [retryAfter]  seconds after which to come back, when the service says so
   */
  constructor(status, message, retryAfter = null) {
    super(message);
    this.name = "ProblemError";
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

export function unreachable() {
  return new ProblemError(0, "The service does not answer. Is it still running?");
}

/**
 * Problem details as sentences.
 * @param {number} status
 * @param {string} body
 * @param {string | null} retryAfter  the header, if it came
 */
export function problem(status, body, retryAfter) {
  const seconds = retryAfter !== null && /^\d+$/.test(retryAfter) ? Number(retryAfter) : null;
  let details;
  try {
    details = JSON.parse(body);
  } catch {
    return new ProblemError(status, `The service answered ${status} without saying why.`, seconds);
  }
  const told = words(details).map(sentence).join(" ");
  return new ProblemError(status, told || `The service answered ${status}.`, seconds);
}

/**
 * @param {{title?: string, detail?: string, errors?: {pointer: string, detail: string}[]}} details
 * @returns {string[]}
 */
function words({ title, detail, errors = [] }) {
  if (errors.length === 0) return [title && detail ? `${title}: ${detail}` : (detail ?? title ?? "")];
  return errors.map(({ pointer, detail: why }) => {
    // A person chose a picture, not a field: the title says what is wrong with it.
    const field = PICTURE_FIELDS.includes(pointer) && title ? title : pointer.slice(1);
    return `${field}: ${why}`;
  });
}

/** @param {string} text */
function sentence(text) {
  if (!text) return "";
  const upper = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(upper) ? upper : `${upper}.`;
}
