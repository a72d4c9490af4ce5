// Preact with htm's templates: what every view is written with.

import { h } from "./vendor/preact.js";
import htm from "./vendor/htm.js";

export { createContext, render } from "./vendor/preact.js";
export {
  useContext,
  useEffect,
  useErrorBoundary,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "./vendor/hooks.js";

export const html = htm.bind(h);
