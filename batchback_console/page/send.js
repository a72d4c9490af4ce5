// Only for the local service: send a batch from here, with an example that works.

import { get, post } from "./api.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { Icon } from "./icons.js";
import { CopyButton, ErrorNote, Loading, useAction, useTitle } from "./parts.js";
import { go } from "./router.js";

const DRAFT = "batchback-console-draft";

export function Send() {
  const [read, , error, local] = useAction(() => get("/local"));
  useEffect(() => { read(); }, []);
  useTitle("Send");
  return html`
    <div class="view-head"><h1 tabindex="-1">Send a batch</h1>
      <p class="lead">Send the example as it is, or edit it first. Four of its jobs fail, so
        that there is something to see.</p></div>
    <${ErrorNote} error=${error} />
    ${local ? html`<${Editor} example=${local.example}
        address=${local.serviceAddress} />` : !error && html`<${Loading} />`}`;
}

// The example is not kept: after a restart its addresses may be others.
function keep(text, example) {
  if (text === example) sessionStorage.removeItem(DRAFT);
  else sessionStorage.setItem(DRAFT, text);
}

function Editor({ example, address }) {
  const [text, setText] = useState(() => sessionStorage.getItem(DRAFT) ?? example);
  const field = useRef();
  const [send, isBusy, error] = useAction(async () => {
    const { batchId } = await post("/local/batches", { text });
    go(`/batches/${batchId}`);
  });
  useEffect(() => keep(text, example), [text]);
  const submit = (event) => {
    event.preventDefault();
    if (!isBusy) send().then(() => field.current?.focus());
  };
  const key = (event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && submit(event);
  return html`<form class="panel editor" onSubmit=${submit}>
    <div class="panel-head"><label for="batch-text">Batch</label>
      <span class="mono faint">POST ${address}/api/1.0/batch?action=run</span></div>
    <textarea id="batch-text" ref=${field} value=${text} spellcheck=${false} autocomplete="off"
        rows="22"
      aria-invalid=${error ? "true" : null} aria-describedby="batch-error"
      onInput=${(event) => setText(event.target.value)} onKeyDown=${key} />
    <div id="batch-error"><${ErrorNote} error=${error} /></div>
    <div class="editor-buttons">
      <button type="submit" class="button primary" disabled=${isBusy}>
        <${Icon} name="returned" />${isBusy ? "Sending" : "Send the batch"}</button>
      <button type="button" class="button" disabled=${text === example}
          onClick=${() => setText(example)}>Back to the example</button>
      <${CopyButton} text=${text} />
      <span class="faint keys"><kbd>Ctrl</kbd> <kbd>Enter</kbd> sends</span>
    </div>
  </form>`;
}
