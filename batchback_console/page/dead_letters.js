// The messages in a dead-letter queue: show them, send them again, discard them.

import { READ_ONLY } from "./actions.js";
import { get, post } from "./api.js";
import * as format from "./format.js";
import { html, useEffect, useState } from "./html.js";
import {
  Dialog, Empty, ErrorNote, Loading, Name, Note, Sentence, Time, useAction, useConsole,
} from "./parts.js";

const STATES = { readable: "Readable", unreadable: "Not readable", tooNew: "From a newer version" };

// Reading hides the messages from others for a while, so they are read once, not polled.
export function DeadLetters({ role, onClose }) {
  const [read, , error, found] = useAction(() => get(`/stage/dead-letters/${role}`));
  useEffect(() => { read(); }, [role]);
  return html`<${Dialog} title=${`Dead letters of ${role}`} onClose=${onClose}>
    <${ErrorNote} error=${error} />
    ${!found && !error && html`<${Loading} />`}
    ${found && html`<${Found} role=${role} found=${found} onClose=${onClose} />`}
  <//>`;
}

function Found({ role, found: { letters, note }, onClose }) {
  const [wanted, setWanted] = useState(null);
  if (wanted) return html`<${Confirm} role=${role} name=${wanted} onBack=${() => setWanted(null)}
      onClose=${onClose} />`;
  return html`
    ${note && html`<p class="faint"><${Sentence} text=${note} /></p>`}
    ${letters.length === 0 && html`<${Empty} title="No dead letter is visible now." />`}
    <ul class="letters">${letters.map((letter, place) => html`<${Letter} key=${place}
        letter=${letter} />`)}</ul>
    <div class="dialog-buttons">
      <button type="button" class="button" onClick=${onClose}>Close</button>
      ${letters.length > 0 && html`
        <button type="button" class="button danger"
            onClick=${() => setWanted("discard")}>Discard</button>
        <button type="button" class="button primary"
            onClick=${() => setWanted("redrive")}>Redrive</button>`}
    </div>`;
}

function Letter({ letter: { batchId, label, sentAt, state, body } }) {
  return html`<li class="letter">
    <div class="letter-head">
      ${batchId
        ? html`<a href=${`/batches/${batchId}`}><${Name} id=${batchId} label=${label} /></a>`
        : html`<strong>${STATES[state]}</strong>`}
      <span class="faint">sent <${Time} iso=${sentAt} /></span>
      ${batchId && state !== "readable" && html`<span class="faint">${STATES[state]}</span>`}
    </div>
    <pre class="body-text raw" tabindex="0" aria-label="Message">${format.visible(body)}</pre>
  </li>`;
}

const QUESTIONS = {
  redrive:
    "The messages are sent to their queue again and handled as new. Those that cannot be read stay.",
  discard: "Messages that no version can read are deleted. The others stay: redrive those.",
};

function Confirm({ role, name, onBack, onClose }) {
  const { mayAct } = useConsole();
  const [run, isBusy, error, outcome] = useAction(() => post(`/stage/dead-letters/${role}/${name}`));
  if (outcome) return html`
    <${Note} tone="good" icon="completed" role="status">
      ${outcome.said.map((said) => html`<p key=${said}><${Sentence} text=${said} /></p>`)}
    <//>
    <div class="dialog-buttons"><button type="button" class="button primary"
        onClick=${onClose}>Close</button></div>`;
  return html`
    <p>${QUESTIONS[name]}</p>
    ${!mayAct && html`<${Note} tone="info" icon="lock"><${Sentence} text=${READ_ONLY} /><//>`}
    <${ErrorNote} error=${error} />
    <div class="dialog-buttons">
      <button type="button" class="button" onClick=${onBack}>Back</button>
      <button type="button" class=${name === "discard" ? "button danger filled" : "button primary"}
          disabled=${isBusy || !mayAct}
        onClick=${() => run()}>${name === "discard" ? "Discard" : "Redrive"}</button>
    </div>`;
}
