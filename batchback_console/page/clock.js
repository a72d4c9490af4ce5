// The service's time, which may be ahead of the browser's.

import { useEffect, useState } from "./html.js";

let aheadMs = 0;

export function followServiceClock(iso) {
  const now = Date.parse(iso);
  if (!Number.isNaN(now)) aheadMs = now - Date.now();
}

export function serviceNow() {
  return Date.now() + aheadMs;
}

// Render again every second, for ages and countdowns.
export function useNow() {
  const [, setTurn] = useState(0);
  useEffect(() => {
    ticking.add(setTurn);
    return () => ticking.delete(setTurn);
  }, []);
  return serviceNow();
}

const ticking = new Set();

function tick() {
  if (!document.hidden) ticking.forEach((setTurn) => setTurn((turn) => turn + 1));
}

setInterval(tick, 1000);
