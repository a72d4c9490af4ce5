// The callback of a batch: its attempts, what was sent, what was received.

import { useData } from "./api.js";
import { Body } from "./body.js";
import * as format from "./format.js";
import { html } from "./html.js";
import { Icon } from "./icons.js";
import {
  Badge, Caller, Countdown, Empty, Facts, Missing, Note, Sentence, Time, useConsole,
} from "./parts.js";

// The server sends at most this much of a received body.
const MOST_CHARACTERS = 350_000;
const RESULTS = { all: "all", failed: "only those that did not succeed", none: "none" };

export function CallbackTab({ batch }) {
  const { pollSeconds } = useConsole();
  const seconds = batch.callback.state === "waiting" ? pollSeconds : 5 * pollSeconds;
  const { data, error } = useData(`/batches/${batch.id}/callback`, seconds);
  if (!data) return html`<${Missing} error=${error} />`;
  if (data.state === "none") return html`<${Empty} title="This batch has no callback.">
    <p>It was submitted without a callback URL. You can read its results with the API.</p><//>`;
  return html`<section class="callback" aria-label="Callback">
    ${data.damage && html`<${Note} tone="bad" icon="trouble"><${Sentence} text=${data.damage} /><//>`}
    <div class="panel">
      <h2 class="minor">Attempts</h2>
      <${Timeline} callback=${data} batch=${batch} />
    </div>
    <div class="panel">
      <h2 class="minor">What is sent</h2>
      <${Facts} facts=${[
        ["To", data.url && html`<${Caller} className="mono" text=${data.url} />`],
        ["Results", RESULTS[data.results]],
        ["Size", format.bytes(data.bytes)],
      ]} />
      <${Headers} headers=${data.headers} />
    </div>
    ${data.received && html`<${Received} received=${data.received} />`}
  </section>`;
}

function Timeline({ callback, batch }) {
  const { attempts, nextTryAt, state } = callback;
  return html`<ol class="timeline">
    ${attempts.map((attempt, place) => html`<${Attempt} key=${attempt.at} attempt=${attempt}
        number=${place + 1} />`)}
    ${state === "waiting" && html`<li class="next"><span class="timeline-dot"><${Icon} name="waiting" />
      </span>
      <span class="timeline-what">${nextTryAt ? html`Next try <${Countdown}
          iso=${nextTryAt} />` : expected(batch, attempts)}</span>
      ${nextTryAt && html`<span class="timeline-when"><${Time} iso=${nextTryAt} /></span>`}</li>`}
    ${state === "failed" && html`<li class="end"><span class="timeline-dot"><${Icon} name="stopped" />
      </span>
      <span class="timeline-what">No attempt is left. <em>Send the callback again</em> starts new ones.</span></li>`}
  </ol>`;
}

function expected(batch, attempts) {
  if (batch.status === "running") return "The callback is sent when all jobs are done.";
  return attempts.length ? "The next attempt is due now." : "The first attempt is due now.";
}

function Attempt({ attempt, number }) {
  const { at, status, error, tookMs } = attempt;
  const [word, tone, icon] = cameTo(attempt);
  return html`<li class=${tone}>
    <span class="timeline-dot"><${Icon} name=${icon} /></span>
    <span class="timeline-what">
      <strong>${word}</strong>
      ${status != null && html`<span class="code">${status}</span>`}
      ${error && error !== `HTTP ${status}` && html`<${Caller} text=${error} />`}</span>
    <span class="timeline-when"><span class="faint">Attempt ${number}</span>
      ${tookMs != null && html`<span class="faint">${format.milliseconds(tookMs)}</span>`}
        <${Time} iso=${at} /></span>
  </li>`;
}

function cameTo({ status, error, tookMs }) {
  if (status == null && !error && tookMs == null) return ["In progress", "idle", "running"];
  if (!error && status >= 200 && status < 300) return ["Delivered", "good", "returned"];
  return ["Failed", "bad", "cross"];
}

function Headers({ headers }) {
  if (!headers?.length) return null;
  return html`<h3>Headers</h3><${Facts} facts=${headers.map(({ name, value, isSecret }) => [
    html`<${Caller} className="mono" text=${name} />`,
    isSecret || value != null ? html`<${HeaderValue} value=${value} />` : html`
      <span class="faint">new at each attempt</span>`,
  ])} />`;
}

function HeaderValue({ value }) {
  if (value == null) return html`<span class="secret"><${Icon} name="lock" />not shown</span>`;
  return html`<${Caller} className="mono" text=${value} />`;
}

// Only for the local service: what the demonstration receiver got.
function Received({ received }) {
  return html`<div class="panel wide">
    <h2 class="minor">What the receiver got</h2>
    ${received.length === 0 && html`<p class="faint">Nothing yet.</p>`}
    ${received.toReversed().map((request, place) => html`<details key=${request.at} class="received"
        open=${place === 0}>
      <summary><${Icon} name="right" /><span class="mono">POST <${Caller} text=${request.path} /></span>
        <${Signature} verified=${request.verified} /><span class="spacer" />
          <${Time} iso=${request.at} /></summary>
      <${Facts} facts=${request.headers.map(([name, value]) => [
        html`<${Caller} className="mono" text=${name} />`, html`<${HeaderValue} value=${value} />`])} />
      <${Body} title="Body" text=${request.raw} size=${request.rawBytes} />
      ${request.raw.length >= MOST_CHARACTERS && html`<p class="faint">Only the beginning is shown.</p>`}
    </details>`)}
  </div>`;
}

function Signature({ verified }) {
  if (verified == null) return null;
  return verified
    ? html`<${Badge} icon="completed" tone="good">Signature verifies<//>`
    : html`<${Badge} icon="failed" tone="bad">Signature does not verify<//>`;
}
