// One cell per job, on a canvas: 10,000 are drawn in a few milliseconds.

import { get } from "./api.js";
import * as format from "./format.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";
import { outcomeOf } from "./parts.js";

const TELL_AFTER_MS = 150;
const DIMMED = 0.18;
const HELP = "Arrow keys move from job to job, Enter opens one, F finds the next that did not succeed.";

export function Grid({ letters, outcome, chosen, batchId, onOpen }) {
  const [width, frame] = useWidth();
  const [at, setAt] = useState(null);
  const [isByKeyboard, setByKeyboard] = useState(false);
  const canvas = useRef();
  const layout = layoutFor(letters.length, width);
  const row = useJobRow(batchId, at, letters[at]);
  useDrawing(canvas, letters, layout, outcome);
  const point = (event) => { setByKeyboard(false); setAt(cellAt(event, canvas.current, layout)); };
  const key = (event) => {
    if (event.key === "Enter" && at !== null) return onOpen(at);
    const next = afterKey(event.key, at ?? 0, layout, letters);
    if (next === null) return undefined;
    event.preventDefault();
    setByKeyboard(true);
    return setAt(next);
  };
  const open = (event) => {
    const index = cellAt(event, canvas.current, layout);
    if (index !== null) onOpen(index);
  };
  return html`<div class="grid-frame" ref=${frame}>
    <div class="grid" tabindex="0" role="application"
        aria-label=${`Grid of ${format.counted(letters.length, "job")}`}
        aria-describedby="grid-help" onKeyDown=${key} onFocus=${() => at === null && setAt(0)}
            onBlur=${() => setAt(null)}>
      <canvas ref=${canvas} onPointerMove=${point} onPointerLeave=${() => setAt(null)}
          onClick=${open} />
      ${at !== null && html`<${Marker} layout=${layout} index=${at} kind="pointed" />`}
      ${chosen !== null && Number(chosen) < letters.length && html`<${Marker} layout=${layout}
          index=${Number(chosen)} kind="chosen" />`}
      ${at !== null && html`<${Tip} layout=${layout} index=${at} letter=${letters[at]} row=${row} />`}
    </div>
    <p id="grid-help" class="hidden-text">${HELP}</p>
    <p class="hidden-text"
        aria-live="polite">${isByKeyboard && at !== null ? sentence(at, letters[at], row) : ""}</p>
  </div>`;
}

function useWidth() {
  const [width, setWidth] = useState(0);
  const frame = useRef();
  useLayoutEffect(() => {
    const measure = () => setWidth(Math.floor(frame.current.clientWidth));
    const observer = new ResizeObserver(measure);
    observer.observe(frame.current);
    measure();
    return () => observer.disconnect();
  }, []);
  return [width, frame];
}

// --- where the cells are -------------------------------------------------------------------------

function layoutFor(total, width) {
  const pitch = pitchFor(total, width);
  const columns = Math.max(1, Math.min(total, Math.floor(width / pitch)));
  const gap = pitch > 15 ? 4 : pitch > 7 ? 2 : 1;
  return { total, pitch, gap, columns, rows: Math.ceil(total / columns) };
}

function pitchFor(total, width) {
  if (total <= 60) return 24;
  if (total <= 500) return 18;
  const isNarrow = width < 600;
  if (total <= 1500) return isNarrow ? 9 : 12;
  return total <= 4000 ? (isNarrow ? 6 : 9) : isNarrow ? 4 : 6;
}

function placeOf(index, { columns, pitch }) {
  return [(index % columns) * pitch, Math.floor(index / columns) * pitch];
}

function cellAt(event, canvas, { pitch, columns, total }) {
  const box = canvas.getBoundingClientRect();
  const column = Math.floor((event.clientX - box.left) / pitch);
  const index = Math.floor((event.clientY - box.top) / pitch) * columns + column;
  return column >= 0 && column < columns && index >= 0 && index < total ? index : null;
}

function afterKey(key, at, { columns, total }, letters) {
  const steps = {
    ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns,
    PageUp: -10 * columns, PageDown: 10 * columns, Home: -at, End: total - 1 - at,
  };
  if (key === "f" || key === "F") return nextFailed(letters, at);
  if (!(key in steps)) return null;
  return Math.min(total - 1, Math.max(0, at + steps[key]));
}

function nextFailed(letters, at) {
  const turned = letters.slice(at + 1) + letters.slice(0, at + 1);
  const found = turned.search(/[fu]/);
  return found < 0 ? at : (at + 1 + found) % letters.length;
}

// --- drawing -------------------------------------------------------------------------------------

function useDrawing(canvas, letters, layout, outcome) {
  const [scheme, setScheme] = useState(0);
  useEffect(() => {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const change = () => setScheme((turn) => turn + 1);
    dark.addEventListener("change", change);
    return () => dark.removeEventListener("change", change);
  }, []);
  useLayoutEffect(() => draw(canvas.current, letters, layout, outcome),
    [letters, layout.pitch, layout.columns, outcome, scheme]);
}

function draw(canvas, letters, layout, outcome) {
  const pen = prepare(canvas, layout);
  for (const letter of "wsuf") {
    pen.globalAlpha = outcome && outcome !== letter ? DIMMED : 1;
    pen.fillStyle = pen.strokeStyle = colorOf(canvas, letter);
    drawAll(pen, letters, letter, layout);
  }
}

function prepare(canvas, { columns, rows, pitch, gap }) {
  const scale = devicePixelRatio || 1;
  const [width, height] = [columns * pitch - gap, rows * pitch - gap];
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  return pen;
}

function colorOf(canvas, letter) {
  return getComputedStyle(canvas).getPropertyValue(`--cell-${outcomeOf(letter).name}`);
}

function drawAll(pen, letters, letter, layout) {
  const size = layout.pitch - layout.gap;
  const shape = SHAPES[letter];
  pen.lineWidth = size > 8 ? 1.5 : 1;
  pen.beginPath();
  for (let index = letters.indexOf(letter); index >= 0; index = letters.indexOf(letter, index + 1)) {
    shape(pen, ...placeOf(index, layout), size);
  }
  if (letter === "w") pen.stroke();
  else pen.fill(letter === "f" && size > 8 ? "evenodd" : "nonzero");
}

// Each outcome has its own shape: a square, a square with a hole across, a diamond, an outline.
const SHAPES = { s: square, f: crossed, u: diamond, w: outline };

function square(pen, x, y, size) {
  pen.rect(x, y, size, size);
}

// A small cell has no room for a slash: it is larger than its neighbors instead.
function crossed(pen, x, y, size) {
  if (size <= 8) return pen.rect(x - 0.5, y - 0.5, size + 1, size + 1);
  pen.rect(x, y, size, size);
  return slash(pen, x, y, 2, size - 2, 2);
}

function slash(pen, x, y, low, high, thick) {
  pen.moveTo(x + low, y + high - thick);
  pen.lineTo(x + low + thick, y + high);
  pen.lineTo(x + high, y + low + thick);
  pen.lineTo(x + high - thick, y + low);
  pen.closePath();
}

function diamond(pen, x, y, size) {
  const half = size / 2;
  pen.moveTo(x + half, y);
  pen.lineTo(x + size, y + half);
  pen.lineTo(x + half, y + size);
  pen.lineTo(x, y + half);
  pen.closePath();
}

function outline(pen, x, y, size) {
  const inset = pen.lineWidth / 2;
  pen.rect(x + inset, y + inset, size - 2 * inset, size - 2 * inset);
}

// --- what a cell is ------------------------------------------------------------------------------

// The job's row, asked for when the reader stays on its cell.
function useJobRow(batchId, at, letter) {
  const [row, setRow] = useState(null);
  useEffect(() => {
    if (at === null) return undefined;
    let isCurrent = true;
    const ask = () => get(`/batches/${batchId}/jobs?text=${encodeURIComponent(`#${at}`)}&limit=1`)
      .then(({ rows }) => isCurrent && setRow(rows[0] ?? null), () => {});
    const timer = setTimeout(ask, TELL_AFTER_MS);
    return () => { isCurrent = false; clearTimeout(timer); };
  }, [batchId, at, letter]);
  return row?.index === at ? row : null;
}

function sentence(index, letter, row) {
  const id = row?.id && format.visible(row.id);
  const words = [`Job ${index}`, id, outcomeOf(letter).word.toLowerCase()].filter(Boolean).join(", ");
  return row?.error ? `${words}: ${format.visible(row.error)}` : words;
}

function Marker({ layout, index, kind }) {
  const [x, y] = placeOf(index, layout);
  const size = layout.pitch - layout.gap;
  return html`<span class=${`grid-marker ${kind}`}
      ...${placed(x, y, { width: `${size}px`, height: `${size}px` })} />`;
}

function Tip({ layout, index, letter, row }) {
  const [x, y] = placeOf(index, layout);
  const isRight = x > (layout.columns * layout.pitch) / 2;
  const { name, word } = outcomeOf(letter);
  return html`<div class=${isRight ? "grid-tip right" : "grid-tip"} aria-hidden="true"
      ...${placed(x, y + layout.pitch + 4)}>
    <strong>#${index}</strong> ${row?.id && html`<bdi class="mono">${format.visible(row.id)}</bdi>`}
    <span class=${`outcome ${name}`}>${word}</span>
    ${row?.error && html`<span class="grid-tip-error"><bdi>${format.visible(row.error)}</bdi></span>`}
  </div>`;
}

function placed(x, y, more = {}) {
  return { style: { left: `${x}px`, top: `${y}px`, ...more } };
}
