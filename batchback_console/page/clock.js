// The service's time, which may be ahead of the browser's.

import { useEffect, useState } from "./html.js";

let aheadMs = 0;

export function followServiceClock(iso) {
  if (iso) aheadMs = Date.parse(iso) - Date.now();
}

export function serviceNow() {
  return Date.now() + aheadMs;
}

// Render again every second, for ages and countdowns.
export function useNow() {
  const [, setTurn] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => document.hidden || setTurn((turn) => turn + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  return serviceNow();
}
