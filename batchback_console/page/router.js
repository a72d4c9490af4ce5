// Where the reader is: the path, the query (filters) and the anchor (tabs).

import { useEffect, useState } from "./html.js";

const listeners = new Set();

function here() {
  return {
    path: location.pathname,
    query: new URLSearchParams(location.search),
    anchor: location.hash.slice(1),
  };
}

export function useLocation() {
  const [place, setPlace] = useState(here);
  useEffect(() => {
    listeners.add(setPlace);
    return () => listeners.delete(setPlace);
  }, []);
  return place;
}

export function go(address, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", address);
  tell();
}

// Change some of the query's values; null or "" removes one.
export function setQuery(changes, options = { replace: true }) {
  const address = new URL(location.href);
  for (const [name, value] of Object.entries(changes)) {
    if (value == null || value === "") address.searchParams.delete(name);
    else address.searchParams.set(name, value);
  }
  go(address.pathname + address.search + address.hash, options);
}

function tell() {
  listeners.forEach((listener) => listener(here()));
}

// Links within the console do not reload the page.
function follow(event) {
  const link = event.target.closest?.("a[href^='/']");
  const isPlain = !event.button && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!link || link.target || !isPlain || event.defaultPrevented) return;
  event.preventDefault();
  go(link.getAttribute("href"));
}

addEventListener("popstate", tell);
addEventListener("hashchange", tell);
document.addEventListener("click", follow);
