// The list of batches: those in trouble first, then running ones, then those that have ended.

import { get, useData } from "./api.js";
import * as format from "./format.js";
import { html, useState } from "./html.js";
import { Icon } from "./icons.js";
import {
  Ago, Bar, Caller, CallbackBadge, Choice, Empty, ErrorNote, Missing, Note, SearchField, Select, Sentence,
  StatusBadge, useAction, useConsole, useTitle,
} from "./parts.js";
import { setQuery, useLocation } from "./router.js";
import { Fresh, useSteadyRows } from "./steady.js";

const FILTERS = ["status", "label", "account", "show"];
const STATUSES = [
  ["", "Any status"], ["trouble", "Needs attention"], ["running", "Running"], ["completed", "Completed"],
  ["cancelled", "Cancelled"], ["stopped", "Stopped"],
];
const GROUPS = [
  ["trouble", "Needs attention"],
  ["running", "Running"],
  ["ended", "Ended"],
];
const COLUMNS = ["Batch", "Status", "Jobs", "Callback", "Account", "Created"];

export function Batches() {
  const { query } = useLocation();
  const { pollSeconds, isLocal } = useConsole();
  const search = wanted(query);
  const { data, error, path } = useData(`/batches${search}`, pollSeconds);
  const isNew = isLocal && data?.batches.length === 0 && !search;
  useTitle("Batches");
  return html`
    <div class="view-head">
      <h1 tabindex="-1">Batches</h1>
      ${!isNew && html`<${Filters} query=${query} accounts=${data?.accounts ?? []} />`}
    </div>
    ${data?.note && html`<${Note} tone="info" icon="waiting"><${Sentence} text=${data.note} /><//>`}
    ${data
      ? html`<${ErrorNote} error=${error} />
        <${List} key=${path} data=${data} search=${search} isFiltered=${isFiltered(query)}
          isOpen=${showOf(query, isLocal) === "open"} />`
      : html`<${Missing} error=${error} />`}`;
}

function wanted(query) {
  const chosen = FILTERS.filter((name) => query.get(name)).map((name) => [name, query.get(name)]);
  return chosen.length ? `?${new URLSearchParams(chosen)}` : "";
}

function isFiltered(query) {
  return ["status", "label", "account"].some((name) => query.get(name));
}

function showOf(query, isLocal) {
  return query.get("show") ?? (isLocal ? "all" : "open");
}

// --- filters -------------------------------------------------------------------------------------

function Filters({ query, accounts }) {
  const { isLocal } = useConsole();
  const show = showOf(query, isLocal);
  return html`<form class="filters" role="search" aria-label="Filter batches"
      onSubmit=${(event) => event.preventDefault()}>
    <${SearchField} label="Filter by label" hint="Label" value=${query.get("label") ?? ""}
      onChange=${(label) => setQuery({ label })} />
    <${Select} label="Status" value=${query.get("status") ?? ""} options=${STATUSES}
      onChange=${(status) => setQuery({ status })} />
    ${accounts.length > 1 && html`<${Select} label="Account" value=${query.get("account") ?? ""}
      options=${[["", "All accounts"], ...accounts.map((account) => [account, format.visible(account)])]}
      onChange=${(account) => setQuery({ account })} />`}
    <${Choice} label="Which batches" value=${show} options=${[["open", "Open"], ["all", "All"]]}
      onChange=${(choice) => setQuery({ show: choice })} />
  </form>`;
}

// --- the list ------------------------------------------------------------------------------------

function List({ data, search, isFiltered, isOpen }) {
  const [older, next, showMore, error] = useOlder(data, search);
  const known = new Set(data.batches.map((row) => row.id));
  const rows = [...data.batches, ...older.filter((row) => !known.has(row.id))];
  const [steady, fresh, holding, apply] = useSteadyRows(rows.map(grouped), idOf, older.length);
  if (!rows.length) return html`<${Nothing} isFiltered=${isFiltered} isOpen=${isOpen} />`;
  const withAccounts = data.accounts.length > 1;
  return html`
    <div ...${holding}>
      <${Fresh} count=${fresh} word=${format.counted(fresh, "new batch", "new batches")}
        says="There are new batches." apply=${apply} />
      <${Table} rows=${steady} withAccounts=${withAccounts} />
    </div>
    ${next && html`<p class="more"><button type="button" class="button"
        onClick=${() => showMore()}>Show older batches</button></p>`}
    <${ErrorNote} error=${error} />`;
}

function Table({ rows, withAccounts }) {
  return html`<table role="table" class=${withAccounts ? "batches with-accounts" : "batches"}
      aria-label="Batches">
    <thead role="rowgroup"><tr role="row">
      ${COLUMNS.filter((name) => withAccounts || name !== "Account").map((name) =>
        html`<th key=${name} role="columnheader" scope="col">${name}</th>`)}
    </tr></thead>
    ${GROUPS.map(([group, title]) => html`<${Group} key=${group} title=${title} group=${group}
      rows=${rows.filter((row) => row.group === group)} withAccounts=${withAccounts} />`)}
  </table>`;
}

// Older pages are read once; the first page is polled.
function useOlder(data, search) {
  const [older, setOlder] = useState({ rows: [], next: undefined });
  const next = older.next === undefined ? data.next : older.next;
  const [showMore, , error] = useAction(async () => {
    const page = await get(`/batches${search}${search ? "&" : "?"}after=${encodeURIComponent(next)}`);
    setOlder({ rows: [...older.rows, ...page.batches], next: page.next });
  });
  return [older.rows, next, showMore, error];
}

function idOf(row) {
  return row.id;
}

function grouped(row) {
  const isTroubled = row.trouble || row.waits;
  return { ...row, group: isTroubled ? "trouble" : row.status === "running" ? "running" : "ended" };
}

function Group({ title, group, rows, withAccounts }) {
  if (!rows.length) return null;
  return html`<tbody role="rowgroup" class=${`group ${group}`}>
    <tr role="row" class="group-head"><th role="rowheader" scope="rowgroup"
        colspan=${withAccounts ? 6 : 5}>
      ${title} <span class="tally">${format.count(rows.length)}</span></th></tr>
    ${rows.map((row) => html`<${Row} key=${row.id} row=${row} withAccount=${withAccounts} />`)}
  </tbody>`;
}

function Row({ row, withAccount }) {
  const why = row.waits?.sentence ?? row.trouble;
  return html`<tr role="row" class="batch-row">
    <td role="cell" class="cell-name">
      <a class="row-link" href=${`/batches/${row.id}`}
          title=${row.label ? format.visible(row.label) : row.id}>
        ${row.label ? html`<${Caller} text=${row.label} />` : html`<span class="mono">${row.id}</span>`}
      </a>
      ${row.label && html`<span class="mono faint">${format.shortId(row.id)}</span>`}
      ${row.round > 1 && html`<span class="faint">round ${row.round}</span>`}
    </td>
    <td role="cell" class="cell-status"><${StatusBadge} batch=${row} /></td>
    <td role="cell" class="cell-jobs"><${Progress} row=${row} /></td>
    <td role="cell" class="cell-callback"><${CallbackBadge} batch=${row} /></td>
    ${withAccount && html`<td role="cell" class="cell-account" title=${format.visible(row.account)}>
      <${Caller} text=${row.account} /></td>`}
    <td role="cell" class="cell-age"><${Ago} iso=${row.createdAt} /></td>
    ${why && html`<td role="cell" class="cell-why"><${Sentence} text=${why} /></td>`}
  </tr>`;
}

function Progress({ row: { jobs } }) {
  const done = jobs.total - jobs.waiting;
  const lost = jobs.failed + jobs.unanswered;
  const total = jobs.waiting ? format.count(jobs.total) : format.counted(jobs.total, "job");
  return html`
    <${Bar} jobs=${jobs} />
    <span class="numbers">${jobs.waiting ? `${format.count(done)} of ` : ""}${total}</span>
    ${lost > 0 && html`<span class="lost"><${Icon} name="cross" />${format.count(lost)}
      <span class="hidden-text"> did not succeed</span></span>`}`;
}

function Nothing({ isFiltered, isOpen }) {
  const { isLocal } = useConsole();
  if (isFiltered) return html`<${Empty} title="No batch matches these filters.">
    <p><a class="button" href="/">Clear the filters</a></p><//>`;
  if (isOpen) return html`<${Empty} title="No batch has work left.">
    <p>New batches appear here automatically.</p>
    <p><button type="button" class="button"
        onClick=${() => setQuery({ show: "all" })}>Show ended batches too</button></p><//>`;
  return html`<${Empty} title="No batches yet.">
    <p class="empty-text">A batch is a list of API calls, its jobs. Batchback makes the calls, retries
      those that get no answer, and sends all the results in one callback.</p>
    ${isLocal
      ? html`<p><a class="button primary" href="/send">Send a batch</a></p>
        <p class="empty-text">There is an example to start with. Batches that your own code sends
          appear here too.</p>`
      : html`<p>Batches appear here as soon as a caller submits one.</p>`}
  <//>`;
}
