// Requests to the console's server: the token, errors, polling, and waiting while it is away.

import { followServiceClock } from "./clock.js";
import { useEffect, useState } from "./html.js";

const TOKEN = "batchback-console-token";
const LONGEST_ANSWER_MS = 60_000;
const WAITS_SECONDS = [1, 2, 3, 5, 8];

export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

// Move the token from the address to this origin's storage, so that it can be neither seen nor copied.
export function takeToken() {
  const found = /^#token=(.+)$/.exec(location.hash);
  if (!found) return;
  keep(found[1]);
  history.replaceState(null, "", location.pathname + location.search);
  unlock();
}

// A browser may have no storage for this page; then the token is lost when the page is loaded again.
let token = stored();

function stored() {
  try {
    return localStorage.getItem(TOKEN);
  } catch {
    return null;
  }
}

function keep(given) {
  token = given;
  try {
    localStorage.setItem(TOKEN, given);
  } catch { /* There is no storage. */ }
}

// The new address may be opened in the tab that had the old one, or in another tab.
addEventListener("hashchange", takeToken);
addEventListener("storage", ({ key }) => {
  if (key !== TOKEN) return;
  token = stored();
  unlock();
});

function unlock() {
  connection.set({ isLocked: false });
  refresh();
}

export function get(path) {
  return ask("GET", path);
}

// Send, then have everything on the page read again.
export async function post(path, body = {}) {
  const answer = await ask("POST", path, JSON.stringify(body));
  refresh();
  return answer;
}

async function ask(method, path, body) {
  const answer = await reach(method, path, body);
  const data = await answer.json().catch(() => null);
  if (answer.status === 401) connection.set({ isLocked: true, sentence: data?.error });
  if (!answer.ok) throw refusal(answer.status, data ?? {});
  if (!data) throw new ApiError("The console's answer cannot be read.", answer.status);
  followServiceClock(data.now);
  return data;
}

function refusal(status, { error }) {
  return new ApiError(error ?? `The console answered HTTP ${status}.`, status);
}

async function reach(method, path, body) {
  const headers = { Authorization: `Bearer ${token ?? ""}` };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    const answer = await fetch(`/api${path}`, {
      method, headers, body, signal: AbortSignal.timeout(LONGEST_ANSWER_MS),
    });
    connection.set({ isAway: false });
    return answer;
  } catch {
    throw new ApiError("The service does not answer.", 0);
  }
}

// Whether the server answers, for the banner.
export const connection = {
  state: { isAway: false, isLocked: false, retryAt: 0 },
  listeners: new Set(),
  set(change) {
    this.state = { ...this.state, ...change };
    this.listeners.forEach((listener) => listener(this.state));
  },
};

export function useConnection() {
  const [state, setState] = useState(connection.state);
  useEffect(() => {
    connection.listeners.add(setState);
    return () => connection.listeners.delete(setState);
  }, []);
  return state;
}

// --- polling -------------------------------------------------------------------------------------

const polls = new Set();

export function refresh() {
  polls.forEach((poll) => poll.turn());
}

document.addEventListener("visibilitychange", () => document.hidden || refresh());

// {data, error, path}: what a path answers, asked again every few seconds. A failure keeps the last
// data, which may be that of another path.
export function useData(path, seconds) {
  const [state, setState] = useState({ data: null, error: null, path: null });
  useEffect(() => {
    if (!path) return undefined;
    const poll = new Poll(path, seconds, setState);
    return () => poll.stop();
  }, [path, seconds]);
  return state;
}

class Poll {
  constructor(path, seconds, show) {
    Object.assign(this, { path, seconds, show, asked: 0, failures: 0, isStopped: false });
    polls.add(this);
    this.turn();
  }

  stop() {
    this.isStopped = true;
    clearTimeout(this.timer);
    polls.delete(this);
  }

  // Ask once, then plan the next turn. Only the answer to the last question counts.
  async turn() {
    clearTimeout(this.timer);
    const mine = ++this.asked;
    const outcome = await get(this.path).then(
      (data) => ({ data, error: null, path: this.path }),
      (error) => ({ error }));
    if (this.isStopped || mine !== this.asked) return;
    this.failures = outcome.error ? this.failures + 1 : 0;
    this.show((before) => ({ ...before, ...outcome }));
    this.plan(outcome.error);
  }

  plan(error) {
    if (error?.status === 401) return;
    const wait = error ? this.patience() : this.seconds;
    if (error?.status === 0) connection.set({ isAway: true, retryAt: Date.now() + wait * 1000 });
    if (wait && !document.hidden) this.timer = setTimeout(() => this.turn(), wait * 1000);
  }

  patience() {
    return WAITS_SECONDS[Math.min(this.failures, WAITS_SECONDS.length) - 1];
  }
}
