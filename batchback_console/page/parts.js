// The small parts that the views share.

import { useConnection } from "./api.js";
import { serviceNow, useNow } from "./clock.js";
import * as format from "./format.js";
import { createContext, html, useContext, useEffect, useRef, useState } from "./html.js";
import { Icon } from "./icons.js";

const TYPING_MS = 250;
const LONG_CODE = 30;

// What /api/console says: the stage, whether it is local, whether actions are allowed.
export const ConsoleContext = createContext(null);

export function useConsole() {
  return useContext(ConsoleContext);
}

export function useTitle(title) {
  const { stage } = useConsole();
  useEffect(() => {
    document.title = `${title} · Batchback ${stage}`;
  }, [title, stage]);
}

// --- text ----------------------------------------------------------------------------------------

// Text from callers: kept apart from the direction of the text around it, with nothing hidden.
export function Caller({ text, className }) {
  return html`<bdi class=${className}>${format.visible(text)}</bdi>`;
}

// A batch's label, or the beginning of its id.
export function Name({ id, label }) {
  if (label) return html`<${Caller} text=${label} />`;
  return html`<span class="mono">${format.shortId(id)}</span>`;
}

export function Time({ iso }) {
  if (!iso) return null;
  return html`<time datetime=${iso} title=${iso}>${format.time(iso, serviceNow())}</time>`;
}

export function Ago({ iso }) {
  const seconds = (useNow() - Date.parse(iso)) / 1000;
  return html`<time datetime=${iso} title=${iso}>${format.age(seconds)} ago</time>`;
}

// "in 14 min 59 s", or "now".
export function Countdown({ iso }) {
  const seconds = Math.ceil((Date.parse(iso) - useNow()) / 1000);
  return html`<time datetime=${iso}
      title=${iso}>${seconds > 0 ? `in ${format.duration(seconds)}` : "now"}</time>`;
}

// A sentence of the server, with its times in the reader's zone.
export function Sentence({ text }) {
  return format.sentenceParts(text).map((part) => {
    if (part.time) return html`<${Time} iso=${part.time} />`;
    return part.code ? html`<${Code} text=${part.code} />` : format.visible(part.text);
  });
}

function Code({ text }) {
  const className = text.length < LONG_CODE ? "short" : null;
  return html`<code class=${className}>${format.visible(text)}</code>`;
}

// --- status --------------------------------------------------------------------------------------

export const OUTCOMES = [
  { letter: "f", name: "failed", word: "Failed", icon: "failed", means: "The platform answered with an error." },
  { letter: "u", name: "unanswered", word: "Unanswered", icon: "unanswered",
    means: "The call never got an answer. A restart runs it again." },
  { letter: "w", name: "waiting", word: "Waiting", icon: "waiting", means: "There is no answer yet." },
  { letter: "s", name: "succeeded", word: "Succeeded", icon: "completed", means: "The platform did what the job asked." },
];

export function outcomeOf(letter) {
  return OUTCOMES.find((outcome) => outcome.letter === letter);
}

const STATUSES = {
  running: ["Running", "running", "info"],
  completed: ["Completed", "completed", "good"],
  cancelled: ["Cancelled", "cancelled", "idle"],
  stopped: ["Stopped", "stopped", "bad"],
};

const CALLBACKS = {
  none: ["No callback", "none", "idle"],
  waiting: ["Not yet due", "waiting", "idle"],
  due: ["Due", "running", "info"],
  retrying: ["Retrying", "trouble", "warn"],
  delivered: ["Delivered", "returned", "good"],
  failed: ["Failed", "failed", "bad"],
};

export function Badge({ icon, tone, children }) {
  return html`<span class=${`badge ${tone}`}><${Icon} name=${icon} />${children}</span>`;
}

export function StatusBadge({ batch }) {
  if (batch.waits) return html`<${Badge} icon="pause" tone="warn">Waiting<//>`;
  const [word, icon, tone] = STATUSES[batch.status];
  return html`<${Badge} icon=${icon} tone=${tone}>${word}<//>`;
}

export function CallbackBadge({ batch }) {
  const [word, icon, tone] = CALLBACKS[callbackState(batch)];
  return html`<${Badge} icon=${icon} tone=${tone}>${word}<//>`;
}

export function OutcomeBadge({ letter }) {
  const { word, icon, name } = outcomeOf(letter);
  return html`<span class=${`outcome ${name}`}><${Icon} name=${icon} />${word}</span>`;
}

function callbackState({ status, callback: { state, attempts } }) {
  if (state !== "waiting") return state;
  if (attempts) return "retrying";
  return status === "running" ? "waiting" : "due";
}

// How far a batch is. Each outcome has its own texture, so that color is not needed.
export function Bar({ jobs }) {
  const parts = ["succeeded", "failed", "unanswered", "waiting"].filter((name) => jobs[name]);
  const words = parts.map((name) => `${format.count(jobs[name])} ${name}`).join(", ");
  return html`<span class="bar" role="img" aria-label=${words || "No jobs"} title=${words}>
    ${parts.map((name) => html`<span key=${name} class=${`bar-part ${name}`}
        ...${grow(jobs[name])} />`)}
  </span>`;
}

function grow(share) {
  return { style: { flexGrow: String(share) } };
}

// --- controls ------------------------------------------------------------------------------------

export function CopyButton({ text, name = "Copy", isQuiet = false }) {
  const [isCopied, setCopied] = useState(false);
  useEffect(() => {
    const timer = isCopied && setTimeout(() => setCopied(false), 1500);
    return () => clearTimeout(timer);
  }, [isCopied]);
  const copy = () => copyText(text).then(() => setCopied(true), () => {});
  return html`<button type="button" class=${isQuiet ? "icon-button" : "button small"} onClick=${copy}
      aria-label=${isCopied ? "Copied" : name} title=${name}>
    <${Icon} name=${isCopied ? "check" : "copy"} />${isQuiet ? null : isCopied ? "Copied" : name}
  </button>`;
}

function copyText(text) {
  return navigator.clipboard.writeText(text);
}

// Reports what was typed once the reader stops typing.
export function SearchField({ label, hint, value, onChange }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    const timer = text !== value && setTimeout(() => onChange(text), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return html`<label class="search">
    <span class="hidden-text">${label}</span>
    <${Icon} name="search" />
    <input type="search" value=${text} placeholder=${hint} spellcheck=${false} autocomplete="off"
      onInput=${(event) => setText(event.target.value)} />
  </label>`;
}

export function Select({ label, value, options, onChange }) {
  return html`<label class="select">
    <span class="hidden-text">${label}</span>
    <select value=${value} onChange=${(event) => onChange(event.target.value)}>
      ${options.map(([option, word]) =>
        html`<option key=${option} value=${option} selected=${option === value}>${word}</option>`)}
    </select>
    <${Icon} name="down" />
  </label>`;
}

// One of a few, as buttons side by side.
export function Choice({ label, value, options, onChange }) {
  return html`<div class="choice" role="group" aria-label=${label}>
    ${options.map(([option, word]) => html`
      <button key=${option} type="button" aria-pressed=${String(option === value)}
        onClick=${() => onChange(option)}>${word}</button>`)}
  </div>`;
}

// A modal dialog. Escape closes it, and the focus returns to where it was.
export function Dialog({ title, onClose, children }) {
  const dialog = useRef();
  useEffect(() => {
    const before = document.activeElement;
    dialog.current.showModal();
    return () => before?.isConnected && before.focus();
  }, []);
  const leave = (event) => event.target === dialog.current && onClose();
  return html`<dialog ref=${dialog} class="dialog" aria-labelledby="dialog-title" onClick=${leave}
      onCancel=${(event) => { event.preventDefault(); onClose(); }}>
    <div class="dialog-body"><h2 id="dialog-title">${title}</h2>${children}</div>
  </dialog>`;
}

// An action, one at a time: [run, isBusy, error, result].
export function useAction(action) {
  const [state, setState] = useState({ isBusy: false, error: null, said: null });
  const run = async (...values) => {
    setState({ isBusy: true, error: null, said: null });
    await action(...values).then(
      (said) => setState({ isBusy: false, error: null, said }),
      (error) => setState({ isBusy: false, error: error.message, said: null }));
  };
  return [run, state.isBusy, state.error, state.said];
}

// --- messages ------------------------------------------------------------------------------------

// A note across the page: that something waits, is in trouble, or worked.
export function Note({ tone, icon, title, children, role }) {
  return html`<div class=${`note ${tone}`} role=${role}>
    <${Icon} name=${icon} />
    <div class="note-text">${title && html`<strong>${title}</strong> `}${children}</div>
  </div>`;
}

// If the service does not answer, a banner says so.
export function ErrorNote({ error }) {
  if (!error || meansAway(error)) return null;
  const sentence = error.message ?? error;
  return html`<${Note} tone="bad" icon="failed" role="alert"><${Sentence} text=${sentence} /><//>`;
}

export function Empty({ title, children }) {
  return html`<div class="empty"><p class="empty-title">${title}</p>${children}</div>`;
}

export function Loading() {
  return html`<div class="loading" role="status"><span class="hidden-text">Loading</span>
    <span class="line" /><span class="line" /><span class="line" /></div>`;
}

function meansAway({ status }) {
  return status === 0;
}

// What to show instead of a view: that it is loading, or why it cannot be shown.
export function Missing({ error }) {
  if (!error || meansAway(error)) return html`<${Loading} />`;
  return html`<${ErrorNote} error=${error} />`;
}

export function AwayBanner() {
  const { isAway, retryAt } = useConnection();
  useNow();
  if (!isAway) return null;
  const seconds = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
  return html`<div class="strip bad" role="status">
    <${Icon} name="trouble" />
    <span>The service does not answer. What you see may be out of date.</span>
    <span class="strip-detail"
        aria-hidden="true">${seconds ? `Retrying in ${seconds} s` : "Retrying"}</span>
  </div>`;
}

function isKnown([, value]) {
  return value != null && value !== false && value !== "";
}

// Names and values, for facts about one thing.
export function Facts({ facts }) {
  return html`<dl class="facts">
    ${facts.filter(isKnown).map(([name, value], place) => html`
      <div key=${place} class="fact"><dt>${name}</dt><dd>${value}</dd></div>`)}
  </dl>`;
}
