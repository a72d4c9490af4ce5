// Only for the local service: make the platform or the receiver fail, and move the service's clock.

import { post, useData } from "./api.js";
import * as format from "./format.js";
import { html, useEffect, useState } from "./html.js";
import { Icon } from "./icons.js";
import {
  Caller, Countdown, ErrorNote, Missing, Sentence, Time, useAction, useConsole, useTitle,
} from "./parts.js";

const AHEAD_WORTH_SAYING_SECONDS = 2;
const STEPS = [[60, "1 min"], [3600, "1 h"], [43_200, "12 h"]];
const EVERY_SECONDS = 2;
// Less often for the line on other pages, because each answer reads all open batches.
const STRIP_SECONDS = 5;

export function Local() {
  const { data, error } = useData("/local", EVERY_SECONDS);
  useTitle("Simulate");
  return html`
    <div class="view-head"><h1 tabindex="-1">Simulate</h1>
      <p class="lead">Make the platform or the receiver fail, and move the clock ahead to see what happens next.</p></div>
    ${data ? html`<${Loaded} local=${data} />` : html`<${Missing} error=${error} />`}`;
}

function Loaded({ local }) {
  return html`
    <div class="two-columns">
      <${Faults} of="platform" title="Platform" says="Your jobs call it." local=${local} />
      <${Faults} of="receiver" title="Receiver" says="It gets the callbacks." local=${local} />
    </div>
    <div class="two-columns uneven">
      <${Clock} clock=${local.clock} />
      <${Running} isPaused=${local.isPaused} />
    </div>`;
}

// --- faults --------------------------------------------------------------------------------------

function Faults({ of, title, says, local }) {
  const { address, fault, isDemonstration } = local[of];
  const [wanted, setWanted] = useState(fault?.name ?? null);
  const [set, , error] = useAction((name) => post("/local/faults", { of, name }));
  useEffect(() => setWanted(fault?.name ?? null), [fault?.name, error]);
  const choose = (name) => { setWanted(name); set(name); };
  const options = optionsOf(fault, local.faults[of]);
  return html`<section class="panel" aria-labelledby=${`${of}-title`}>
    <div class="panel-head"><h2 id=${`${of}-title`}>${title}</h2>
      <span class="mono faint">${address}</span></div>
    <p class="faint">${says}</p>
    ${isDemonstration === false
      ? html`<p>
          Your jobs call a platform of your own. Only the demo platform can be made to fail.</p>`
      : html`<fieldset class="switches"><legend class="hidden-text">How the ${of} behaves</legend>
          ${options.map((option) => html`<label key=${option.name} class="switch">
            <input type="radio" name=${of} checked=${wanted === option.name}
                onChange=${() => choose(option.name)} />
            <${FaultTitle} title=${option.title} /></label>`)}
        </fieldset>`}
    <${ErrorNote} error=${error} />
  </section>`;
}

// A fault that was set with curl is not in the list.
function optionsOf(fault, faults) {
  const isListed = !fault || faults.some(({ name }) => name === fault.name);
  return [{ name: null, title: "Works" }, ...faults, ...(isListed ? [] : [fault])];
}

// "Slow: answers after 2 s" as a word and what it means.
function FaultTitle({ title }) {
  const [word, ...rest] = title.split(": ");
  return html`<span><strong>${word}</strong>${rest.length > 0 && html` <span
      class="faint">${rest.join(": ")}</span>`}</span>`;
}

// --- clock ---------------------------------------------------------------------------------------

function Clock({ clock: { now, aheadSeconds, nextDue, whyFixed } }) {
  return html`<section class="panel" aria-labelledby="clock-title">
    <div class="panel-head"><h2 id="clock-title">Clock</h2>
      <span class="faint">${isAhead(aheadSeconds) ? `${format.duration(aheadSeconds)} ahead` : "real time"}</span></div>
    <p class="clock-now"><${Time} iso=${now} /></p>
    ${whyFixed ? html`<p><${Sentence} text=${whyFixed} /></p>` : html`
      <${ClockMoves} nextDue=${nextDue} />`}
  </section>`;
}

function ClockMoves({ nextDue }) {
  const [move, isBusy, error] = useAction((body) => post("/local/clock", body));
  const ahead = (body) => isBusy || move(body);
  return html`
    <div class="next-due">
      ${nextDue
        ? html`<div><p class="faint">Next, <${Countdown} iso=${nextDue.at} /></p>
            <p><${Sentence} text=${nextDue.what} /></p></div>
          <button type="button" class="button primary" onClick=${() => ahead({ to: "next" })}>
            <${Icon} name="skip" />Skip to it</button>`
        : html`<p class="faint">Nothing is planned: no batch waits for a retry or a check.</p>`}
    </div>
    <div class="clock-steps" role="group" aria-label="Move the clock ahead">
      ${STEPS.map(([seconds, word]) => html`<button key=${seconds} type="button" class="button"
          onClick=${() => ahead({ seconds })}>+ ${word}</button>`)}
    </div>
    <p class="faint footnote">
      The service's clock only moves ahead. Restart the service to go back to real time.</p>
    <${ErrorNote} error=${error} />`;
}

function isAhead(seconds) {
  return seconds > AHEAD_WORTH_SAYING_SECONDS;
}

// --- pause ---------------------------------------------------------------------------------------

const PAUSE = { until: "1h", reason: "a simulation" };
const PAUSED = "All jobs are paused for up to an hour: no call of the platform starts.";
const NOT_PAUSED = "Jobs are not paused. A pause stops all calls of the platform; callbacks are still sent.";

function Running({ isPaused }) {
  const [run, isBusy, error, outcome] = useAction(() =>
    isPaused ? post("/stage/resume") : post("/stage/pause", PAUSE));
  return html`<section class="panel" aria-labelledby="running-title">
    <div class="panel-head"><h2 id="running-title">Jobs</h2>
      <button type="button" class=${isPaused ? "button primary" : "button"} disabled=${isBusy}
          onClick=${() => run()}>
        <${Icon} name=${isPaused ? "play" : "pause"} />${isPaused ? "Resume" : "Pause for an hour"}</button></div>
    <p class="faint" role="status">
      ${isPaused ? PAUSED : outcome?.wasPausedUntil ? outcome.said : NOT_PAUSED}</p>
    <${ErrorNote} error=${error} />
  </section>`;
}

// --- what every page says ------------------------------------------------------------------------

export function LocalStrip() {
  const { isLocal } = useConsole();
  const { data } = useData(isLocal ? "/local" : null, STRIP_SECONDS);
  const notes = data ? notesOf(data) : [];
  if (!notes.length) return null;
  return html`<div class="strip warn" role="status">
    <${Icon} name="trouble" /><span>${notes.map((note, place) => html`
      <span key=${place}>${place > 0 && " · "}${note}</span>`)}</span>
    <a class="strip-detail" href="/local">Change</a>
  </div>`;
}

function notesOf({ platform, receiver, clock, isPaused }) {
  return [
    platform.fault && html`Platform: <${Caller} text=${wordOf(platform.fault)} />`,
    receiver.fault && html`Receiver: <${Caller} text=${wordOf(receiver.fault)} />`,
    isPaused && "Jobs are paused",
    isAhead(clock.aheadSeconds) && `The clock is ${format.duration(clock.aheadSeconds)} ahead`,
  ].filter(Boolean);
}

function wordOf({ title }) {
  return title.split(": ")[0].toLowerCase();
}
