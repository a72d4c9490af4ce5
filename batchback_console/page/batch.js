// One batch: what it is, why it waits, its jobs, its callback, and what can be done.

import { Actions } from "./actions.js";
import { useData } from "./api.js";
import { CallbackTab } from "./callback.js";
import { serviceNow } from "./clock.js";
import * as format from "./format.js";
import { Grid } from "./grid.js";
import { html } from "./html.js";
import { JobPanel } from "./job.js";
import { Jobs } from "./jobs.js";
import {
  Ago, Bar, Caller, CallbackBadge, CopyButton, Countdown, ErrorNote, Facts, Missing, Name, Note,
  OUTCOMES, Sentence, StatusBadge, Time, outcomeOf, useConsole, useTitle,
} from "./parts.js";
import { Icon } from "./icons.js";
import { setQuery, useLocation } from "./router.js";

// With at most this many jobs, the grid is lower than the list of errors.
const SMALL = 500;
const CARRIES = { all: "all results", failed: "failed results only", none: "no results" };
const TABS = [["jobs", "Jobs"], ["callback", "Callback"], ["details", "Details"]];

export function Batch({ id }) {
  const { pollSeconds } = useConsole();
  const path = `/batches/${encodeURIComponent(id)}`;
  const { data, error } = useData(path, pollSeconds);
  return html`
    <${Head} id=${id} batch=${data} />
    ${data ? html`<${Loaded} batch=${data} error=${error} />` : html`<${Missing} error=${error} />`}`;
}

function Loaded({ batch, error }) {
  const { query, anchor } = useLocation();
  const tab = TABS.some(([name]) => name === anchor) ? anchor : "jobs";
  const outcome = query.get("outcome") ?? "";
  const job = query.get("job");
  const show = (index) => setQuery({ job: index }, {});
  useTitle(titleOf(batch));
  return html`
    <${ErrorNote} error=${error} />
    <${Why} batch=${batch} />
    <section class=${batch.grid.length > SMALL ? "panel overview" : "panel overview small"}
        aria-label="Jobs at a glance">
      <${Summary} batch=${batch} outcome=${outcome} />
      <${Grid} letters=${batch.grid} outcome=${outcome} chosen=${job} batchId=${batch.id}
          onOpen=${show} />
      <${Reasons} batch=${batch} />
    </section>
    <${Tabs} tab=${tab} batch=${batch} />
    ${tab === "jobs" && html`<${Jobs} batch=${batch} query=${query} onOpen=${show} chosen=${job} />`}
    ${tab === "callback" && html`<${CallbackTab} batch=${batch} />`}
    ${tab === "details" && html`<${Details} batch=${batch} />`}
    ${job !== null && html`<${JobPanel} batch=${batch} index=${Number(job)} onOpen=${show} />`}`;
}

function titleOf(batch) {
  const name = batch.label ? format.visible(batch.label) : format.shortId(batch.id);
  const { total, waiting } = batch.jobs;
  return batch.status === "running" ? `${format.percent(total - waiting, total)}% ${name}` : name;
}

// --- head ----------------------------------------------------------------------------------------

function Head({ id, batch }) {
  return html`
    <nav class="crumbs" aria-label="Breadcrumb">
      <a href="/">Batches</a><${Icon} name="right" />
      <span class="mono">${format.shortId(id)}</span>
    </nav>
    <div class="batch-head">
      <div class="batch-name">
        <h1 tabindex="-1"><${Name} id=${id} label=${batch?.label} /></h1>
        ${batch && html`<${StatusBadge} batch=${batch} />`}
        ${batch?.round > 1 && html`<span class="badge idle">Round ${batch.round}</span>`}
      </div>
      ${batch && html`<${Actions} batch=${batch} />`}
      <p class="batch-line">
        <span class="with-copy"><span class="mono">${id}</span><${CopyButton} text=${id}
            name="Copy the id" isQuiet /></span>
        ${batch && html`<span>Account <${Caller} text=${batch.account} /></span>
          <span>Created <${Ago} iso=${batch.createdAt} /></span>
          ${batch.completedAt && html`<span>Took ${took(batch)}</span>`}`}
      </p>
    </div>`;
}

function took({ roundBeganAt, createdAt, completedAt }) {
  const began = Date.parse(roundBeganAt ?? createdAt);
  return format.duration(Math.max(0, Date.parse(completedAt) - began) / 1000, 1);
}

function Why({ batch }) {
  const { waits, trouble, damage, unread } = batch;
  return html`
    ${unread > 0 && html`<${Note} tone="info" icon="waiting">The answers of this batch are large, so
      they are read in parts. ${format.counted(unread, "job")} still to be read
      ${unread === 1 ? "is" : "are"} shown as waiting.<//>`}
    ${waits && html`<${Note} tone="warn" icon="pause" title="This batch is waiting.">
      <${Sentence} text=${waits.sentence} />${waits.until && html`<span class="note-end">
        <${Countdown} iso=${waits.until} /></span>`}<//>`}
    ${damage && html`<${Note} tone="bad" icon="trouble"><${Sentence} text=${damage} /><//>`}
    ${trouble && html`<${Note} tone="bad" icon="trouble"><${Sentence} text=${trouble} /><//>`}`;
}

// --- at a glance ---------------------------------------------------------------------------------

function Summary({ batch: { exact, jobs }, outcome }) {
  const done = jobs.total - exact.waiting;
  return html`<div class="summary">
    <p class="done">
      <strong>${format.count(done)}</strong> of ${format.counted(jobs.total, "job")} done
      ${exact.waiting > 0 && html`
        <span class="faint">${format.percent(done, jobs.total)}%</span>`}</p>
    <${Bar} jobs=${exact} />
    <div class="legend" role="group" aria-label="Show only jobs that are">
      ${OUTCOMES.map((kind) => html`<${LegendButton} key=${kind.letter} kind=${kind}
          count=${exact[kind.name]} isChosen=${kind.letter === outcome} />`)}
    </div>
  </div>`;
}

function LegendButton({ kind, count, isChosen }) {
  const choose = () => setQuery({ outcome: isChosen ? null : kind.letter });
  return html`<button type="button" class="legend-button" aria-pressed=${String(isChosen)}
      disabled=${!count && !isChosen}
      title=${kind.means} onClick=${choose}>
    <span class=${`swatch ${kind.name}`} /><span>${kind.word}</span>
      <span class="tally">${format.count(count)}</span>
  </button>`;
}

// The errors and HTTP statuses, most frequent first. A click shows only these jobs.
function Reasons({ batch: { byStatus, byError } }) {
  return html`<div class="reasons">
    ${byError.length > 0 && html`<${Tallies} title="Errors"
        rows=${byError.map(({ error, outcome, count }) =>
      ({ word: error, outcome, count, filter: { text: error, outcome } }))} />`}
    ${byStatus.length > 0 && html`<${Tallies} title="HTTP status"
        rows=${byStatus.map(({ status, count }) =>
      ({ word: status ?? "No status", count, filter: { status: status ?? "none" } }))} />`}
  </div>`;
}

function Tallies({ title, rows }) {
  return html`<div class="tallies"><h2 class="minor">${title}</h2><ul>
    ${rows.map((row) => html`<li key=${`${row.outcome}${row.word}`}>
      <button type="button" class="tally-row" title=${format.visible(row.word)}
          onClick=${() => setQuery(row.filter)}>
        ${row.outcome && html`<span class=${`swatch ${outcomeOf(row.outcome).name}`} />`}
        <${Caller} className="tally-word" text=${row.word} />
        <span class="tally">${format.count(row.count)}</span>
      </button></li>`)}
  </ul></div>`;
}

function Tabs({ tab, batch }) {
  return html`<nav class="tabs" aria-label="About this batch">
    ${TABS.map(([name, word]) => html`
      <a key=${name} href=${`${location.pathname}${location.search}#${name}`}
          aria-current=${name === tab ? "true" : null}>
        ${word}${name === "callback" && html`<${CallbackBadge} batch=${batch} />`}
      </a>`)}
  </nav>`;
}

// --- details -------------------------------------------------------------------------------------

function Details({ batch }) {
  return html`<section class="panel details" aria-label="Details">
    <${Facts} facts=${[
      ["Created", html`<${Time} iso=${batch.createdAt} />`],
      ["Completed", batch.completedAt && html`<${Time} iso=${batch.completedAt} />`],
      ["Deadline", html`<${Time} iso=${batch.deadline} />`],
      ["Kept until", html`<${Time} iso=${batch.expiresAt} />`],
      ["Round", html`${batch.round}${batch.roundBeganAt && html`, began <${Time}
          iso=${batch.roundBeganAt} />`}`],
      ["Next check", isAhead(batch.nextCheckAt) && html`<${Countdown} iso=${batch.nextCheckAt} />`],
      ["Account", html`<${Caller} text=${batch.account} />`],
      ["Key", batch.key && html`<${Caller} className="mono" text=${batch.key} />`],
      ["Callback URL", batch.callbackUrl && html`<${Caller} className="mono"
          text=${batch.callbackUrl} />`],
      ["Callback carries", batch.callbackUrl && CARRIES[batch.callbackResults]],
      ["Callback headers", batch.callbackHeaderNames?.length > 0 && html`<${Caller} className="mono"
          text=${batch.callbackHeaderNames.join(", ")} /> <span
              class="faint">(values are secret)</span>`],
      ["Stops after", batch.maxFailed != null && `more than ${format.counted(batch.maxFailed, "failed job")}`],
      ["Requested deadline", minutes(batch.submittedDeadlineMinutes)],
      ["Trace", batch.traceId && html`<span class="mono">${batch.traceId}</span>`],
    ]} />
    <${Metadata} metadata=${batch.metadata} />
  </section>`;
}

function isAhead(iso) {
  return iso && Date.parse(iso) > serviceNow();
}

function minutes(number) {
  return number && format.duration(number * 60);
}

function Metadata({ metadata }) {
  const pairs = Object.entries(metadata ?? {});
  if (!pairs.length) return null;
  return html`<h2 class="minor">Metadata</h2>
    <${Facts} facts=${pairs.map(([name, value]) => [html`<${Caller} text=${name} />`, html`
      <${Caller} text=${value} />`])} />`;
}
