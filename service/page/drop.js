/** Photos that come in by dropping, pasting or choosing. */

import { byId, element } from "./dom.js";

/**
 * @param {{onSearch: (photo: File) => void, onTogether: (photo: File) => void,
 *          onAdd: (photos: File[], folders?: number) => void, onArrive: () => void,
 *          hasSentence: () => boolean}} listeners
 *   onTogether: the photo is to ask together with the sentence that is there; folders: how many
 *   were dropped with the photos; onArrive: something is dragged over the page
 */
export function receivePhotos({ onSearch, onTogether, onAdd, onArrive, hasSentence }) {
  const landing = byId("landing");
  const search = zone("search", "Find sentences", "for this photo");
  const add = zone("add", "Add to the collection", "one photo or many");
  const together = zone("together", "Ask together", "with your sentence");
  const zones = [search, together, add];
  landing.append(...zones);
  let depth = 0;

  const leave = () => {
    depth = 0;
    landing.hidden = true;
  };
  addEventListener("dragenter", (event) => {
    if (!carriesFiles(event)) return;
    onArrive();
    depth += 1;
    const many = (event.dataTransfer?.items.length ?? 0) > 1;
    search.hidden = many;
    together.hidden = many || !hasSentence();
    landing.hidden = false;
  });
  addEventListener("dragleave", () => {
    depth -= 1;
    if (depth <= 0) leave();
  });
  addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    const over = /** @type {Element} */ (event.target).closest(".zone");
    for (const each of zones) each.classList.toggle("over", each === over);
  });
  addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    const { files, folders } = carried(event);
    const over = /** @type {Element} */ (event.target).closest(".zone");
    leave();
    if (files.length + folders === 0) return;
    if (files.length !== 1 || folders || over === add) onAdd(files, folders);
    else if (over === together) onTogether(files[0]);
    else onSearch(files[0]);
  });
  addEventListener("paste", (event) => {
    const photo = [...(event.clipboardData?.files ?? [])].find(({ type }) => type.startsWith("image/"));
    if (!photo) return;
    event.preventDefault();
    onSearch(photo);
  });

  choose("pick", "photo-file", ([photo]) => onSearch(photo));
  choose("add", "collection-files", (files) => onAdd(files));
}

/**
 * @param {string} buttonId
 * @param {string} inputId
 * @param {(files: File[]) => void} onFiles
 */
function choose(buttonId, inputId, onFiles) {
  /** @type {HTMLInputElement} */
  const input = byId(inputId);
  byId(buttonId).addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    const files = [...(input.files ?? [])];
    // Choosing the same file again has to be a change too.
    input.value = "";
    if (files.length) onFiles(files);
  });
}

/** @param {DragEvent} event */
function carriesFiles(event) {
  return event.dataTransfer?.types.includes("Files") ?? false;
}

/**
 * The files that are dropped, and how many folders: a folder comes as a file that can't be read.
 * @param {DragEvent} event
 */
function carried({ dataTransfer }) {
  const items = [...(dataTransfer?.items ?? [])].filter(({ kind }) => kind === "file");
  const isFolder = (/** @type {DataTransferItem} */ item) => item.webkitGetAsEntry()?.isDirectory ?? false;
  return {
    files: items.filter((item) => !isFolder(item)).flatMap((item) => item.getAsFile() ?? []),
    folders: items.filter(isFolder).length,
  };
}

/**
 * @param {string} kind
 * @param {string} title
 * @param {string} detail
 */
function zone(kind, title, detail) {
  return element("div", { class: `zone corners ${kind}` }, element("b", {}, title), element("span", {}, detail));
}
