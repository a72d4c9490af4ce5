// Lists that update without moving what the reader points at.

import { html, useEffect, useRef, useState } from "./html.js";
import { Icon } from "./icons.js";

// While the list is held, rows keep their places until the reader asks for more: `asked` changes.
// [rows to show, how many are new, props of the list, apply].
export function useSteadyRows(rows, keyOf, asked) {
  const [isHeld, setHeld, holding] = useHold();
  const shown = useRef({ asked, rows: new Map() });
  if (!isHeld || asked !== shown.current.asked) {
    shown.current = { asked, rows: new Map(rows.map((row) => [keyOf(row), row])) };
  }
  const fresh = rows.filter((row) => !update(shown.current.rows, keyOf(row), row));
  return [[...shown.current.rows.values()], fresh.length, holding, () => setHeld(false)];
}

// The element that holds the list contains this button too, so that it stays under the pointer.
export function Fresh({ count, word, says, apply }) {
  return html`<div class="fresh">
    <span class="hidden-text" role="status">${count > 0 && says}</span>
    ${count > 0 && html`<button type="button" class="button small primary" onClick=${apply}>
      <${Icon} name="up" />${word}</button>`}</div>`;
}

// Put the newest version of a row in its old place. False if it has none.
function update(shown, key, row) {
  if (!shown.has(key)) return false;
  shown.set(key, row);
  return true;
}

// The list is held while the mouse or the focus is in it, or its beginning is out of sight.
function useHold() {
  const list = useRef();
  const [isHeld, setHeld] = useState(false);
  const isScrolled = () => list.current?.getBoundingClientRect().top < 0;
  useEffect(() => {
    const scroll = () => setHeld(isScrolled());
    addEventListener("scroll", scroll, { passive: true });
    return () => removeEventListener("scroll", scroll);
  }, []);
  const hold = ({ pointerType }) => pointerType === "mouse" && setHeld(true);
  const release = () => setHeld(isScrolled());
  const holding = { onPointerEnter: hold, onPointerMove: hold, onPointerLeave: release };
  return [isHeld, setHeld, { ref: list, onFocusIn: () => setHeld(true), onFocusOut: release, ...holding }];
}
