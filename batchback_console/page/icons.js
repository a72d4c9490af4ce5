// The console's icons: outlines on a grid of 16, drawn for it.

import { html } from "./html.js";

const PATHS = {
  check: "M3.5 8.5l3 3 6-7",
  cross: "M4.5 4.5l7 7m0-7l-7 7",
  completed: "M8 1.75a6.25 6.25 0 1 0 0 12.5a6.25 6.25 0 1 0 0-12.5M5.25 8.25l2 2 3.5-4.25",
  failed: "M8 1.75a6.25 6.25 0 1 0 0 12.5a6.25 6.25 0 1 0 0-12.5M5.75 5.75l4.5 4.5m0-4.5l-4.5 4.5",
  cancelled: "M8 1.75a6.25 6.25 0 1 0 0 12.5a6.25 6.25 0 1 0 0-12.5M3.75 12.25l8.5-8.5",
  stopped: "M5.5 1.75h5l3.75 3.75v5l-3.75 3.75h-5l-3.75-3.75v-5zM5.25 8h5.5",
  running: "M8 1.75a6.25 6.25 0 1 0 6.25 6.25M8 1.75a6.25 6.25 0 0 1 2.4.48",
  waiting: "M8 1.75a6.25 6.25 0 1 0 0 12.5a6.25 6.25 0 1 0 0-12.5M8 4.75V8l2.25 1.75",
  unanswered: "M8 1.5l6.5 6.5-6.5 6.5-6.5-6.5zM8 5v3.5m0 2v.1",
  trouble: "M8 2l6.5 11.5h-13zM8 6.5v3m0 2v.1",
  returned: "M12.5 3v4.5a3 3 0 0 1-3 3H3.5m3-3-3 3 3 3",
  none: "M4 8h8",
  copy: "M5.75 5.75h7.5v7.5h-7.5zM3.5 10.25h-.75v-7.5h7.5v.75",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0-9M10.25 10.25l3.25 3.25",
  down: "M4 6l4 4 4-4",
  right: "M6 4l4 4-4 4",
  left: "M10 4L6 8l4 4",
  up: "M4 10l4-4 4 4",
  pause: "M5.5 3.5v9m5-9v9",
  play: "M5 3l7.5 5-7.5 5z",
  skip: "M3.5 3.5l6 4.5-6 4.5zM12.5 3.5v9",
  lock: "M4 7.25h8v6H4zM5.5 7.25V5a2.5 2.5 0 0 1 5 0v2.25",
  plus: "M8 3.5v9M3.5 8h9",
};

// An icon never carries meaning alone: a word stands beside it, or its button has a name.
export function Icon({ name, className = "" }) {
  return html`<svg class=${`icon icon-${name} ${className}`} viewBox="0 0 16 16" aria-hidden="true"
      focusable="false">
    <path d=${PATHS[name]} />
  </svg>`;
}

// Many calls, one way back.
export function Logo() {
  return html`<svg class="logo" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
    <rect class="logo-ground" width="32" height="32" rx="8" />
    <g class="logo-dots">
      <rect x="7" y="7" width="5" height="5" rx="1.5" />
      <rect x="14" y="7" width="5" height="5" rx="1.5" />
      <rect x="7" y="14" width="5" height="5" rx="1.5" />
      <rect x="14" y="14" width="5" height="5" rx="1.5" />
    </g>
    <path class="logo-arrow" d="M23 8.5v9.5a5 5 0 0 1-5 5H9m4-4-4 4 4 4" />
  </svg>`;
}
