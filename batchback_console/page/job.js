// One job beside the table: its request, its response, how it went.

import { useData } from "./api.js";
import { Body } from "./body.js";
import * as format from "./format.js";
import { html, useEffect, useRef } from "./html.js";
import { Icon } from "./icons.js";
import { Caller, CopyButton, Facts, Missing, OutcomeBadge, useConsole } from "./parts.js";
import { setQuery } from "./router.js";

const close = () => setQuery({ job: null }, {});

export function JobPanel({ batch, index, onOpen }) {
  const panel = useRef();
  const { pollSeconds } = useConsole();
  const letter = batch.grid[index];
  const isOpen = letter === "w" && batch.status === "running";
  const { data, error } = useData(pathOf(batch, index, letter), isOpen ? pollSeconds : 0);
  const job = data?.index === index ? data : null;
  useFocus(panel);
  useEscape();
  return html`<aside class="job-panel" ref=${panel} tabindex="-1" aria-label=${`Job ${index}`}>
    <header class="job-head">
      <h2>Job ${index}</h2>
      ${letter && html`<${OutcomeBadge} letter=${letter} />`}
      <span class="spacer" />
      <${Step} name="Previous job" icon="up" isPossible=${index > 0} go=${() => onOpen(index - 1)} />
      <${Step} name="Next job" icon="down" isPossible=${index < batch.grid.length - 1}
          go=${() => onOpen(index + 1)} />
      <${Step} name="Close" icon="cross" isPossible go=${close} />
    </header>
    <div class="job-body">${job ? html`<${Job} job=${job} />` : html`
      <${Missing} error=${error} />`}</div>
  </aside>`;
}

// A new outcome is a new path, so that the answer is read as soon as it is there.
function pathOf(batch, index, letter) {
  return `/batches/${batch.id}/jobs/${index}?outcome=${letter ?? ""}&round=${batch.round}`;
}

// The panel takes the focus when it opens, and gives it back when it closes.
function useFocus(panel) {
  useEffect(() => {
    const before = document.activeElement;
    panel.current.focus({ preventScroll: true });
    return () => before?.isConnected && before.focus({ preventScroll: true });
  }, []);
}

// Escape closes the panel from anywhere, but a dialog first.
function useEscape() {
  useEffect(() => {
    const key = (event) => event.key === "Escape" && !document.querySelector("dialog[open]") && close();
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, []);
}

function Step({ name, icon, isPossible, go }) {
  return html`<button type="button" class="icon-button" aria-label=${name} title=${name}
      disabled=${!isPossible} onClick=${go}>
    <${Icon} name=${icon} /></button>`;
}

function Job({ job }) {
  return html`
    ${job.error && html`<p class="job-error"><${Caller} text=${job.error} /></p>`}
    <${Facts} facts=${[
      ["Id", job.id && html`<${Caller} className="mono" text=${job.id} />`],
      ["Call", html`<span class="mono">${job.namespace}.${job.action}</span>`],
      ["HTTP status", job.httpStatus],
      ["Attempts", job.attempts],
      ["Last call took", format.milliseconds(job.tookMs)],
      ["Idempotency-Key", job.idempotencyKey && html`<span class="mono">${job.idempotencyKey}</span>`],
      ["traceparent", job.traceparent && html`<span class="mono">${job.traceparent}</span>`],
    ]} />
    ${job.request != null && html`<${Body} title="Request" text=${job.request}
        size=${job.requestBytes} />`}
    ${job.response == null
      ? html`<h3>Response</h3><p class="faint">There is no answer yet.</p>`
      : html`<${Body} title="Response" text=${job.response} size=${job.responseBytes} />`}
    ${job.curl && html`<div class="body-head"><h3>Run it again</h3><${CopyButton} text=${job.curl}
        name="Copy as curl" /></div>
      <pre class="body-text" tabindex="0"
          aria-label="curl command">${format.visible(job.curl)}</pre>`}`;
}
