// A stored text: pretty (if it is JSON) or raw, its beginning or all of it.

import * as format from "./format.js";
import { html, useMemo, useState } from "./html.js";
import { Choice, CopyButton } from "./parts.js";

const FIRST_CHARACTERS = 16_000;
const COLORED_CHARACTERS = 64_000;
// The last string may have been cut off. That it may end with the text also keeps the search linear.
const STRING = /"[^"\\]*(?:\\[^][^"\\]*)*(?:"|$)/;
const TOKENS = new RegExp(`${STRING.source}|[{}[\\],:]|[^\\s{}[\\],:"]+`, "g");
const STRINGS = new RegExp(`(${STRING.source})`);

export function Body({ title, text, size }) {
  const [isRaw, setRaw] = useState(false);
  const [isWhole, setWhole] = useState(false);
  const shown = useMemo(() => (isRaw ? text : pretty(text)), [text, isRaw]);
  const part = isWhole ? shown : shown.slice(0, FIRST_CHARACTERS);
  const isCut = part.length < shown.length;
  return html`<section class="body" aria-label=${title}>
    <div class="body-head">
      <h3>${title} <span class="faint">${format.bytes(size)}</span></h3>
      <${Choice} label=${`${title} as`} value=${isRaw ? "raw" : "pretty"} options=${[["pretty", "Pretty"], ["raw", "Raw"]]}
        onChange=${(choice) => setRaw(choice === "raw")} />
      <${CopyButton} text=${text} name=${`Copy ${title.toLowerCase()}`} isQuiet />
    </div>
    <pre class=${isRaw ? "body-text raw" : "body-text"} tabindex="0" aria-label=${title}>${isRaw ? format.visible(part) : colored(part)}</pre>
    ${isCut && html`<button type="button" class="button small" onClick=${() => setWhole(true)}>
      Show all ${format.bytes(size)}</button>`}
  </section>`;
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
  return `\n${"  ".repeat(Math.max(0, depth))}`;
}

function colored(text) {
  const head = text.slice(0, COLORED_CHARACTERS);
  const pieces = head.split(STRINGS);
  const parts = pieces.map((piece, place) => (place % 2 ? word(piece, pieces[place + 1]) : format.visible(piece)));
  return [...parts, format.visible(text.slice(COLORED_CHARACTERS))];
}

function word(piece, after) {
  return html`<span class=${after?.startsWith(":") ? "json-name" : "json-text"}>${format.visible(piece)}</span>`;
}
