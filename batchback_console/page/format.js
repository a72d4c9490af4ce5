// Values as people read them. Times are in the reader's zone, with 24 hours.

const MINUTE = 60, HOUR = 3600, DAY = 86400;
const DATE = new Intl.DateTimeFormat("en-US", { month: "short", day: "numeric" });
const TIME = new Intl.DateTimeFormat("en-US", {
  hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});
const COUNT = new Intl.NumberFormat("en-US");

// Controls except tab and line feed, spaces without width, and what changes the direction of text.
const HIDDEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

// Callers' text with what cannot be seen made visible: NUL as a symbol, others as their number.
export function visible(text) {
  return String(text).replace(HIDDEN, symbol);
}

function symbol(character) {
  const code = character.charCodeAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  return `⟨${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
}

export function count(number) {
  return COUNT.format(number);
}

export function counted(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

export function bytes(number) {
  if (number == null) return "";
  if (number < 1000) return counted(number, "byte");
  if (number < 1e6) return `${rounded(number / 1000)} KB`;
  return `${rounded(number / 1e6)} MB`;
}

function rounded(number) {
  return number < 10 ? number.toFixed(1).replace(".0", "") : count(Math.round(number));
}

export function milliseconds(number) {
  if (number == null) return "";
  return number < 1000 ? `${number} ms` : duration(number / 1000, 1);
}

// Two units at most: "1 h 5 min", "14 min 59 s", "2.3 s".
export function duration(seconds, digits = 0) {
  if (seconds < MINUTE) return `${Number(seconds.toFixed(digits))} s`;
  const whole = Math.floor(seconds);
  if (whole < HOUR) return pair(whole, MINUTE, "min", 1, "s");
  if (whole < DAY) return pair(whole, HOUR, "h", MINUTE, "min");
  return pair(whole, DAY, "d", HOUR, "h");
}

function pair(seconds, large, largeName, small, smallName) {
  const rest = Math.floor((seconds % large) / small);
  const first = `${Math.floor(seconds / large)} ${largeName}`;
  return rest ? `${first} ${rest} ${smallName}` : first;
}

// One unit, for a column of ages.
export function age(seconds) {
  if (seconds < MINUTE) return `${Math.max(0, Math.floor(seconds))} s`;
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)} min`;
  if (seconds < DAY) return `${Math.floor(seconds / HOUR)} h`;
  return `${Math.floor(seconds / DAY)} d`;
}

// "09:12:03" today, "Nov 28, 09:12:03" on other days.
export function time(iso, now) {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return visible(iso);
  const isToday = at.toDateString() === new Date(now).toDateString();
  return isToday ? TIME.format(at) : `${DATE.format(at)}, ${TIME.format(at)}`;
}

// The parts of a sentence: text, times that were in braces, and code that was in backticks.
export function sentenceParts(text) {
  return String(text).split(/(\{\d{4}-\d\d-\d\dT[\d:.]+Z\}|`[^`]+`)/).map(sentencePart);
}

function sentencePart(part, place) {
  if (place % 2 === 0) return { text: part };
  const inner = part.slice(1, -1);
  return part.startsWith("{") ? { time: inner } : { code: inner };
}

export function shortId(id) {
  return id.slice(0, 8);
}

export function percent(part, total) {
  return total ? Math.floor((100 * part) / total) : 100;
}
