// The console's frame: the header, the banners, and the view of the current path.

import { takeToken, useConnection, useData } from "./api.js";
import { Batch } from "./batch.js";
import { Batches } from "./batches.js";
import { counted } from "./format.js";
import { html, render, useEffect, useErrorBoundary, useRef } from "./html.js";
import { Icon, Logo } from "./icons.js";
import { Local, LocalStrip } from "./local.js";
import { AwayBanner, ConsoleContext, Empty, ErrorNote, Missing, useConsole } from "./parts.js";
import { useLocation } from "./router.js";
import { Send } from "./send.js";
import { Stage } from "./stage.js";

const LOOK_AGAIN_SECONDS = 15;

function App() {
  const { isLocked, sentence } = useConnection();
  const { data, error } = useData("/console", LOOK_AGAIN_SECONDS);
  if (isLocked) return html`<${Locked} sentence=${sentence} />`;
  if (!data) return html`<${AwayBanner} /><main class="alone"><${Missing} error=${error} /></main>`;
  return html`<${ConsoleContext.Provider} value=${data}><${Frame} /><//>`;
}

function Frame() {
  const { path } = useLocation();
  const main = useRef();
  useFocusOnNewView(path, main);
  const toMain = (event) => { event.preventDefault(); main.current.focus(); };
  return html`
    <a class="skip" href="#main" onClick=${toMain}>Skip to the content</a>
    <${Header} path=${path} />
    <${AwayBanner} />
    <${LocalStrip} />
    <main id="main" ref=${main} tabindex="-1"><${View} key=${path} path=${path} /></main>`;
}

// After following a link, the keyboard and the screen reader are at the new view's heading.
function useFocusOnNewView(path, main) {
  const before = useRef(path);
  useEffect(() => {
    if (before.current === path) return;
    before.current = path;
    scrollTo(0, 0);
    (main.current.querySelector("h1") ?? main.current).focus({ preventScroll: true });
  }, [path]);
}

function Header({ path }) {
  const console = useConsole();
  return html`
    <header class="top">
      <a class="brand" href="/"><${Logo} /><span>Batchback</span></a>
      <span class=${console.isLocal ? "stage-name" : "stage-name deployed"}
          title="The stage that you see">${console.stage}</span>
      <nav class="views" aria-label="Views">
        ${viewsOf(console).map(([address, word]) => html`
          <a key=${address} href=${address}
              aria-current=${isCurrent(address, path) ? "page" : null}>${word}</a>`)}
      </nav>
      <div class="top-end">
        ${!console.mayAct && html`
          <span title="To allow actions, start the console with --allow-actions.">
            <${Icon} name="lock" />Read-only</span>`}
        <${Live} seconds=${console.pollSeconds} />
      </div>
    </header>`;
}

function Live({ seconds }) {
  const { isAway } = useConnection();
  if (isAway) return html`<span class="live away">Away</span>`;
  return html`<span class="live"
      title=${`Updates every ${counted(seconds, "second")} while this tab is visible`}>Live</span>`;
}

function viewsOf({ isLocal }) {
  const views = [["/", "Batches"], ["/stage", "Stage"]];
  return isLocal ? [...views, ["/local", "Simulate"], ["/send", "Send"]] : views;
}

function isCurrent(address, path) {
  return address === path || (address === "/" && path.startsWith("/batches/"));
}

function View({ path }) {
  const [bug] = useErrorBoundary();
  if (bug) return html`<${ErrorNote} error=${`This page has a bug: ${bug.message}. Reload it.`} />`;
  const batch = /^\/batches\/([^/]+)$/.exec(path);
  if (batch) return html`<${Batch} key=${batch[1]} id=${decoded(batch[1])} />`;
  const view = { "/": Batches, "/send": Send, "/stage": Stage, "/local": Local }[path];
  return view ? html`<${view} />` : html`<${Empty} title="There is no such page."><p>
    <a href="/">See the batches</a></p><//>`;
}

// A link may contain a path that cannot be decoded.
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function Locked({ sentence }) {
  return html`<main class="alone locked">
    <${Logo} />
    <h1>This console needs its token</h1>
    <p>${sentence}</p>
  </main>`;
}

takeToken();
render(html`<${App} />`, document.getElementById("app"));
