/** What a picture is called. */

/** @param {{metadata?: Record<string, unknown>}} item */
export function titleOf(item) {
  return typeof item.metadata?.title === "string" ? item.metadata.title : "";
}
