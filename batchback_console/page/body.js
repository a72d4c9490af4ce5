// A stored text: pretty (if it is JSON) or raw, its beginning or all of it.

import * as format from "./format.js";
import { html, useMemo, useState } from "./html.js";
import { Choice, CopyButton } from "./parts.js";

const FIRST_CHARACTERS = 16_000;
const COLORED_CHARACTERS = 64_000;
const LINES_PER_BLOCK = 100;
const LONG_CHARACTERS = 100_000;
// A text that is nested deeper would become many times as long.
const MOST_INDENTS = 40;
// The last string may be cut off, so it may end with the text. That also keeps the search linear.
const STRING = /"[^"\\]*(?:\\[^][^"\\]*)*(?:"|$)/;
const TOKENS = new RegExp(`${STRING.source}|[{}[\\],:]|[^\\s{}[\\],:"]+`, "g");
const STRINGS = new RegExp(`(${STRING.source})`);

export function Body({ title, text, size }) {
  const [isRaw, setRaw] = useState(false);
  const [isWhole, setWhole] = useState(false);
  const shown = useMemo(() => (isRaw ? text : pretty(text)), [text, isRaw]);
  const part = isWhole ? shown : shown.slice(0, FIRST_CHARACTERS);
  const show = (choice) => { setRaw(choice === "raw"); setWhole(false); };
  const content = useMemo(() => (isRaw ? format.visible(part) : blocks(part)), [part, isRaw]);
  const isCut = part.length < shown.length;
  return html`<section class="body" aria-label=${title}>
    <div class="body-head">
      <h3>${title} <span class="faint">${format.bytes(size)}</span></h3>
      <${Choice} label=${`${title} as`} value=${isRaw ? "raw" : "pretty"}
          options=${[["pretty", "Pretty"], ["raw", "Raw"]]}
        onChange=${show} />
      <${CopyButton} text=${text} name=${`Copy ${title.toLowerCase()}`} isQuiet />
    </div>
    <pre class=${classOf(part, isRaw)} tabindex="0"
        aria-label=${title}>${content}</pre>
    ${isCut && html`<button type="button" class="button small" onClick=${() => setWhole(true)}>
      Show all ${format.bytes(size)}</button>`}
  </section>`;
}

function classOf(text, isRaw) {
  if (isRaw) return "body-text raw";
  return text.length > LONG_CHARACTERS ? "body-text long" : "body-text";
}

// Indent JSON without reading its values, so that every digit stays as it was sent.
export function pretty(text) {
  const tokens = text.match(TOKENS) ?? [];
  let depth = 0;
  let result = "";
  tokens.forEach((token, place) => {
    const before = tokens[place - 1];
    if (token === "}" || token === "]") depth -= 1;
    result += gap(before, token, depth) + token;
    if (token === "{" || token === "[") depth += 1;
  });
  return result;
}

function gap(before, token, depth) {
  if (before === undefined || token === "," || token === ":") return "";
  if (before === ":") return " ";
  if ((before === "{" && token === "}") || (before === "[" && token === "]")) return "";
  return `\n${"  ".repeat(Math.min(MOST_INDENTS, Math.max(0, depth)))}`;
}

// Of a long text, the browser lays out only the blocks that can be seen.
function blocks(text) {
  const lines = text.split("\n");
  const found = [];
  let length = 0;
  for (let first = 0; first < lines.length; first += LINES_PER_BLOCK) {
    const block = lines.slice(first, first + LINES_PER_BLOCK).join("\n");
    found.push(html`
      <div key=${first}>${length < COLORED_CHARACTERS ? colored(block) : format.visible(block)}</div>`);
    length += block.length;
  }
  return found;
}

function colored(text) {
  const pieces = text.split(STRINGS);
  return pieces.map((piece, place) => (place % 2 ? word(piece, pieces[place + 1]) : format.visible(piece)));
}

function word(piece, after) {
  return html`
    <span class=${after?.startsWith(":") ? "json-name" : "json-text"}>${format.visible(piece)}</span>`;
}
