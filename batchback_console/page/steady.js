// Lists that update without moving what the reader points at.

import { useEffect, useRef, useState } from "./html.js";

const SCROLLED = 160;

// While held, rows keep their places: [rows to show, how many are new, props of the list, apply].
export function useSteadyRows(rows, keyOf) {
  const [isHeld, setHeld, holding] = useHold();
  const shown = useRef(new Map());
  if (!isHeld) shown.current = new Map(rows.map((row) => [keyOf(row), row]));
  const fresh = rows.filter((row) => !update(shown.current, keyOf(row), row));
  return [[...shown.current.values()], fresh.length, holding, () => setHeld(false)];
}

// Put the newest version of a row in its old place. False if it has none.
function update(shown, key, row) {
  if (!shown.has(key)) return false;
  shown.set(key, row);
  return true;
}

function useHold() {
  const [isHeld, setHeld] = useState(false);
  useEffect(() => {
    const atTop = () => setHeld(scrollY > SCROLLED);
    addEventListener("scroll", atTop, { passive: true });
    return () => removeEventListener("scroll", atTop);
  }, []);
  const mouse = (hold) => ({ pointerType }) => pointerType === "mouse" && setHeld(hold || scrollY > SCROLLED);
  return [isHeld, setHeld, {
    onPointerEnter: mouse(true),
    onPointerMove: mouse(true),
    onPointerLeave: mouse(false),
    onFocusIn: () => setHeld(true),
    onFocusOut: () => setHeld(scrollY > SCROLLED),
  }];
}
