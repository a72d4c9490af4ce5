// The stage, for its operators: queues, dead letters, the platform's health, pause, the doctor.

import { READ_ONLY } from "./actions.js";
import { post, useData } from "./api.js";
import { DeadLetters } from "./dead_letters.js";
import * as format from "./format.js";
import { html, useState } from "./html.js";
import { Icon } from "./icons.js";
import {
  Badge, Caller, Countdown, Dialog, Empty, ErrorNote, Missing, Note, Sentence, Time, useAction,
  useConsole, useTitle,
} from "./parts.js";

const PAUSES = [["15m", "15 minutes"], ["1h", "1 hour"], ["4h", "4 hours"], ["24h", "1 day"]];

export function Stage() {
  const { pollSeconds } = useConsole();
  const { data, error } = useData("/stage", Math.max(2, pollSeconds));
  useTitle("Stage");
  return html`
    <div class="view-head"><h1 tabindex="-1">Stage</h1></div>
    ${data ? html`<${Loaded} stage=${data} error=${error} />` : html`<${Missing} error=${error} />`}`;
}

function Loaded({ stage, error }) {
  return html`
    <${ErrorNote} error=${error} />
    <${Platform} stage=${stage} />
    <${Queues} stage=${stage} />
    <${Doctor} />
    ${stage.cost && html`<p class="faint footnote"><${Sentence} text=${stage.cost} /></p>`}`;
}

// --- health and pause ----------------------------------------------------------------------------

function Platform({ stage: { pause, outages } }) {
  const [isAsking, setAsking] = useState(false);
  const [resume, isBusy, error, resumed] = useAction(() => post("/stage/resume"));
  const isFine = !pause && !outages.length;
  return html`<section class="panel" aria-labelledby="platform-title">
    <div class="panel-head"><h2 id="platform-title">Jobs</h2>
      ${pause ? html`<${Resume} resume=${resume} isBusy=${isBusy} error=${error} />` : html`<button type="button" class="button" aria-haspopup="dialog"
          onClick=${() => setAsking(true)}>
        <${Icon} name="pause" />Pause all jobs</button>`}</div>
    ${pause && html`<${Note} tone="warn" icon="pause" title="All jobs are paused.">
      They run again at <${Time} iso=${pause.until} /> (<${Countdown} iso=${pause.until} />).
      ${pause.reason && html` Reason: <${Caller} text=${pause.reason} />`}<//>`}
    ${outages.map(({ account, since, nextTryAt }) => html`<${Note} key=${account} tone="bad"
        icon="trouble" title="The platform is down.">
      It has not answered account <${Caller} text=${account} /> since <${Time} iso=${since} />.
      Next try <${Countdown} iso=${nextTryAt} />.<//>`)}
    ${isFine && html`<${Note} tone="good" icon="completed" role="status">
      ${resumed?.said ?? "Jobs are not paused, and no outage of the platform is known."}<//>`}
    ${isAsking && html`<${PauseQuestion} onClose=${() => setAsking(false)} />`}
  </section>`;
}

function Resume({ resume, isBusy, error }) {
  const { mayAct } = useConsole();
  return html`<span class="with-error"><button type="button" class="button primary"
      disabled=${isBusy || !mayAct}
    title=${mayAct ? null : "This console is read-only."} onClick=${() => resume()}>
      <${Icon} name="play" />Resume</button><${ErrorNote} error=${error} /></span>`;
}

function PauseQuestion({ onClose }) {
  const { mayAct } = useConsole();
  return html`<${Dialog} title=${mayAct ? "Pause all jobs?" : "Pause all jobs"} onClose=${onClose}>
    <p>While jobs are paused, no call of the platform starts, for any account. Batches are still
      accepted, no attempt is used up, and callbacks are still sent.</p>
    ${mayAct ? html`<${PauseForm} onClose=${onClose} />` : html`
      <${Note} tone="info" icon="lock"><${Sentence} text=${READ_ONLY} /><//>
      <div class="dialog-buttons">
        <button type="button" class="button" onClick=${onClose}>Close</button></div>`}
  <//>`;
}

function PauseForm({ onClose }) {
  const [until, setUntil] = useState("1h");
  const [reason, setReason] = useState("");
  const [pause, isBusy, error] = useAction(() => post("/stage/pause", { until, reason }).then(onClose));
  return html`
    <fieldset class="radios"><legend>For</legend>
      ${PAUSES.map(([value, word]) => html`<label key=${value}><input type="radio" name="until"
          value=${value}
        checked=${value === until} onChange=${() => setUntil(value)} />${word}</label>`)}
    </fieldset>
    <label class="field"><span>Reason</span>
      <input type="text" value=${reason} maxlength="200" placeholder="The platform is being upgraded"
          onInput=${(event) => setReason(event.target.value)} /></label>
    <${ErrorNote} error=${error} />
    <div class="dialog-buttons">
      <button type="button" class="button" onClick=${onClose}>Not now</button>
      <button type="button" class="button primary" disabled=${isBusy}
          onClick=${() => pause()}>Pause</button>
    </div>`;
}

// --- queues --------------------------------------------------------------------------------------

function Queues({ stage: { queues, ageNote } }) {
  const [shown, setShown] = useState(null);
  const dead = new Map(queues.map((queue) => [queue.role, queue]));
  const living = queues.filter((queue) => queue.deadRole || !queue.role.endsWith("-dead"));
  return html`<section class="panel" aria-labelledby="queues-title">
    <div class="panel-head"><h2 id="queues-title">Queues</h2><${Health} queues=${queues} /></div>
    <div class="scroll" tabindex="0" role="region" aria-label="Table of queues"><table class="queues">
      <thead><tr>
        <th scope="col">Queue</th>
        ${["Ready", "In flight", "Delayed", "Oldest"].map((name) => html`
          <th key=${name} scope="col" class="number">${name}</th>`)}
        <th scope="col">Dead letters</th>
      </tr></thead>
      <tbody>${living.map((queue) => html`<${Queue} key=${queue.role} queue=${queue}
          dead=${dead.get(queue.deadRole)} onShow=${setShown} />`)}</tbody>
    </table></div>
    ${ageNote && html`<p class="faint footnote"><${Sentence} text=${ageNote} /></p>`}
    ${shown && html`<${DeadLetters} role=${shown} onClose=${() => setShown(null)} />`}
  </section>`;
}

function Health({ queues }) {
  const dead = queues.filter(({ role }) => role.endsWith("-dead"))
    .reduce((sum, { visible, inFlight }) => sum + visible + inFlight, 0);
  return dead
    ? html`<${Badge} tone="bad" icon="trouble">${format.counted(dead, "dead letter")}<//>`
    : html`<${Badge} tone="good" icon="completed">No dead letters<//>`;
}

function Queue({ queue, dead, onShow }) {
  const { role, name, visible, inFlight, delayed, oldestSeconds } = queue;
  return html`<tr>
    <th scope="row">${role} <span class="faint mono queue-name">${name}</span></th>
    ${[visible, inFlight, delayed].map((number) => html`
      <td class=${number ? "number" : "number faint"}>${format.count(number)}</td>`)}
    <td class="number">${oldestSeconds == null ? "–" : format.duration(oldestSeconds)}</td>
    <td>${dead && html`<${Dead} dead=${dead} onShow=${onShow} />`}</td>
  </tr>`;
}

function Dead({ dead, onShow }) {
  const total = dead.visible + dead.inFlight;
  if (!total) return html`<span class="faint">None</span>`;
  return html`<button type="button" class="button small danger" aria-haspopup="dialog"
      onClick=${() => onShow(dead.role)}>
    <${Icon} name="trouble" />Show ${format.count(total)}</button>`;
}

// --- doctor --------------------------------------------------------------------------------------

const STATES = {
  problem: ["Problem", "failed", "bad"],
  skipped: ["Skipped", "none", "idle"],
  fine: ["Fine", "completed", "good"],
};

function Doctor() {
  const [examine, isBusy, error, outcome] = useAction(() => post("/stage/doctor"));
  return html`<section class="panel" aria-labelledby="doctor-title">
    <div class="panel-head"><h2 id="doctor-title">Doctor</h2>
      <button type="button" class="button" disabled=${isBusy} onClick=${() => examine()}>
        ${isBusy ? "Checking" : outcome ? "Check again" : "Check the stage"}</button></div>
    <div aria-live="polite">
      <${ErrorNote} error=${error} />
      ${isBusy && html`<${Empty} title="Checking tables, queues, functions and alarms." />`}
      ${!isBusy && !outcome && !error && html`
        <p class="faint">
        Checks that every part of this stage exists and works, and suggests fixes.
        It changes nothing.</p>`}
      ${outcome && html`<${Findings} findings=${outcome.findings} />`}
    </div>
  </section>`;
}

function Findings({ findings }) {
  const order = Object.keys(STATES);
  const rank = ({ state }) => order.indexOf(state);
  const sorted = findings.toSorted((one, other) => rank(one) - rank(other));
  return html`<ul class="findings">${sorted.map((finding) => html`
    <${Finding} key=${finding.about + finding.says} finding=${finding} />`)}</ul>`;
}

function Finding({ finding: { about, state, says, remedy } }) {
  const [word, icon, tone] = STATES[state];
  return html`<li class="finding"><${Badge} icon=${icon} tone=${tone}>${word}<//>
    <div><strong>${format.visible(about)}</strong><p><${Sentence} text=${says} /></p>
    ${remedy && html`<p class="remedy"><${Sentence} text=${remedy} /></p>`}</div></li>`;
}
