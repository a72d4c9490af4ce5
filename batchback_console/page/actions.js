// What can be done with a batch. Each action asks first, says what it will do, and shows its outcome.

import { post } from "./api.js";
import { html, useState } from "./html.js";
import { Dialog, ErrorNote, Note, Sentence, useAction, useConsole } from "./parts.js";
import { go } from "./router.js";

export const READ_ONLY =
  "This console is read-only. To allow actions, stop it and start it again with `--allow-actions`.";

export function Actions({ batch }) {
  const [asked, setAsked] = useState(null);
  const actions = inOrder(batch.actions);
  return html`<div class="actions" role="group" aria-label="Actions">
    ${actions.map((action) => html`<button key=${action.name} type="button"
        class=${classOf(action)}
        aria-haspopup="dialog" data-test=${action.name} aria-disabled=${String(!action.may)}
        title=${action.may ? null : action.effect}
            onClick=${() => setAsked(action.name)}>${action.title}</button>`)}
    ${asked && html`<${Question} key=${asked} batch=${batch} name=${asked}
        onClose=${() => setAsked(null)} />`}
  </div>`;
}

// What most readers come for is first.
function inOrder(actions) {
  const isFirst = ({ name }) => name === "rerunFailed";
  return [...actions.filter(isFirst), ...actions.filter((action) => !isFirst(action))];
}

function classOf({ name, may }) {
  if (may && name === "rerunFailed") return "button primary";
  return may && name === "cancel" ? "button danger" : "button";
}

function Question({ batch, name, onClose }) {
  const { mayAct } = useConsole();
  const [action] = useState(() => batch.actions.find((candidate) => candidate.name === name));
  const [run, isBusy, error, outcome] = useAction(() =>
    post(`/batches/${batch.id}/${name}`, { seen: action.seen }));
  if (outcome) return html`<${Outcome} action=${action} outcome=${outcome} batch=${batch}
      onClose=${onClose} />`;
  const isPossible = action.may && mayAct;
  return html`<${Dialog} title=${isPossible ? `${action.title}?` : action.title} onClose=${onClose}>
    <p><${Sentence} text=${action.effect} /></p>
    ${action.may && !mayAct && html`<${Note} tone="info" icon="lock"><${Sentence} text=${READ_ONLY} />
      <//>`}
    <${ErrorNote} error=${error} />
    <div class="dialog-buttons">
      <button type="button" class="button"
          onClick=${onClose}>${isPossible ? "Not now" : "Close"}</button>
      ${isPossible && html`<button type="button" autofocus
          class=${name === "cancel" ? "button danger filled" : "button primary"}
        disabled=${isBusy}
            onClick=${() => run()}>${isBusy ? "Working" : name === "cancel" ? "Cancel the batch" : action.title}</button>`}
    </div>
  <//>`;
}

function Outcome({ action, outcome, batch, onClose }) {
  const isNew = outcome.batchId && outcome.batchId !== batch.id;
  const see = () => { onClose(); go(`/batches/${outcome.batchId}`); };
  return html`<${Dialog} title=${action.title} onClose=${onClose}>
    <${Note} tone="good" icon="completed" role="status"><${Sentence} text=${outcome.said} /><//>
    <div class="dialog-buttons">
      ${isNew && html`<button type="button" class="button" onClick=${onClose}>Stay here</button>`}
      <button type="button" autofocus class="button primary"
          onClick=${isNew ? see : onClose}>${isNew ? "See the new batch" : "Close"}</button>
    </div>
  <//>`;
}
