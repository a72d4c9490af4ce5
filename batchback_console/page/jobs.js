// The table of jobs: failed ones first, then those without an answer, then the others.

import { useData } from "./api.js";
import * as format from "./format.js";
import { html, useState } from "./html.js";
import { Icon } from "./icons.js";
import {
  Caller, Empty, ErrorNote, Missing, OUTCOMES, OutcomeBadge, SearchField, Select, useConsole,
} from "./parts.js";
import { setQuery } from "./router.js";
import { Fresh, useSteadyRows } from "./steady.js";

const PAGE = 100;
const MOST = 1000;
const OPTIONS = [["", "Any outcome"], ...OUTCOMES.map(({ letter, word }) => [letter, word])];

export function Jobs({ batch, query, onOpen, chosen }) {
  const text = query.get("text") ?? "";
  const outcome = query.get("outcome") ?? "";
  const status = query.get("status") ?? "";
  return html`<section aria-label="Jobs">
    <form class="filters jobs-filters" role="search" aria-label="Filter jobs"
        onSubmit=${(event) => event.preventDefault()}>
      <${SearchField} label="Find jobs" hint="#number, id, action, status or error" value=${text}
        onChange=${(typed) => setQuery({ text: typed })} />
      <${Select} label="Outcome" value=${outcome} options=${OPTIONS}
          onChange=${(choice) => setQuery({ outcome: choice })} />
      <${Select} label="HTTP status" value=${status} options=${statusesOf(batch, status)}
          onChange=${(choice) => setQuery({ status: choice })} />
      ${(text || outcome || status) && html`<button type="button" class="button small"
          onClick=${() => setQuery({ text: null, outcome: null, status: null })}>
        <${Icon} name="cross" />Clear</button>`}
    </form>
    <${Table} batch=${batch} filters=${{ text, outcome, status }} onOpen=${onOpen} chosen=${chosen} />
  </section>`;
}

function statusesOf(batch, chosen) {
  const statuses = new Set(batch.byStatus.map(({ status }) => String(status ?? "none")));
  if (chosen) statuses.add(chosen);
  const options = [...statuses].sort().map((status) => [status, status === "none" ? "No status" : status]);
  return [["", "Any HTTP status"], ...options];
}

function Table({ batch, filters, onOpen, chosen }) {
  const { pollSeconds } = useConsole();
  const [limit, setLimit] = useState(PAGE);
  const isOver = batch.status !== "running";
  const query = new URLSearchParams({ ...filters, limit, round: batch.round });
  const seconds = isOver ? 5 * pollSeconds : pollSeconds;
  const { data, error, path } = useData(`/batches/${batch.id}/jobs?${query}`, seconds);
  if (!data) return html`<${Missing} error=${error} />`;
  if (!data.rows.length) return html`<${Empty} title="No job matches.">
    <p>This batch has ${format.counted(data.total, "job")}.</p><//>`;
  return html`
    <${ErrorNote} error=${error} />
    <p class="faint table-note" role=${isOver ? "status" : null}>${matched(data)}</p>
    <${Rows} asked=${path} all=${data.rows} grid=${batch.grid} onOpen=${onOpen} chosen=${chosen} />
    <${More} data=${data} limit=${limit} onMore=${() => setLimit(limit + PAGE)} />`;
}

// A held row may be missing from newer answers. Its outcome is still known from the grid.
function Rows({ asked, all, grid, onOpen, chosen }) {
  const [rows, fresh, holding, apply] = useSteadyRows(all, (row) => row.index, asked);
  return html`<div ...${holding}>
    <${Fresh} count=${fresh} word="Update the order" says="The order has changed." apply=${apply} />
    <table role="table" class="jobs" aria-label="Jobs">
      <thead role="rowgroup"><tr role="row">
        ${["#", "Outcome", "Id", "Call", "HTTP", "Error", "Attempts", "Took"].map((name) =>
          html`<th key=${name} role="columnheader" scope="col">${name}</th>`)}
      </tr></thead>
      <tbody role="rowgroup">${rows.map((row) => html`
        <${Row} key=${row.index} row=${row} letter=${grid[row.index]} onOpen=${onOpen}
          isChosen=${String(row.index) === chosen} />`)}</tbody>
    </table>
  </div>`;
}

function matched({ matched: found, total }) {
  const all = format.counted(total, "job");
  return found === total ? all : `${format.count(found)} of ${all}`;
}

function More({ data, limit, onMore }) {
  if (data.next === null) return null;
  if (limit >= MOST) return html`
    <p class="more faint">These are the first ${format.count(MOST)}. Search to find others.</p>`;
  return html`<p class="more"><button type="button" class="button"
      onClick=${onMore}>Show ${PAGE} more</button></p>`;
}

function Row({ row, letter, onOpen, isChosen }) {
  return html`<tr role="row" class=${isChosen ? "job-row chosen" : "job-row"}
      onClick=${() => onOpen(row.index)}>
    <td role="cell" class="cell-index">
      <button type="button" class="row-button"
          aria-label=${`Job ${row.index}: show request and response`}
        onClick=${(event) => { event.stopPropagation(); onOpen(row.index); }}>${row.index}</button></td>
    <td role="cell" class="cell-outcome"><${OutcomeBadge} letter=${letter ?? row.outcome} /></td>
    <td role="cell" class="cell-id">${row.id && html`<span class="clip" title=${format.visible(row.id)}>
      <${Caller} className="mono" text=${row.id} /></span>`}</td>
    <td role="cell" class="cell-call"><span class="clip"
        title=${`${row.namespace}.${row.action}`}>${row.namespace}.${row.action}</span></td>
    <td role="cell" class="cell-http">${row.httpStatus ?? html`<span class="faint"
        aria-label="none">–</span>`}</td>
    <td role="cell" class="cell-error">${row.error && html`<span class="clip"
        title=${format.visible(row.error)}><${Caller} text=${row.error} /></span>`}</td>
    <td role="cell" class="cell-attempts">${row.attempts ?? ""}</td>
    <td role="cell" class="cell-took">${format.milliseconds(row.tookMs)}</td>
  </tr>`;
}
