// Puts moments in the reader's zone and keeps what passes with time up to date, promises included.
import { words } from "./words.js";

const skew = Date.now() - Date.parse(document.documentElement.dataset.now);
const locale = navigator.language;
const clockOf = (timeZone) => new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", timeZone });
const clock = clockOf();
const dayClockOf = (timeZone) => new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZone });
const dayClock = dayClockOf();
const weekdayClock = new Intl.DateTimeFormat(locale, { weekday: "short", hour: "2-digit", minute: "2-digit" });
const dayOf = (timeZone) => new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", year: "numeric", timeZone });
const day = dayOf();
const full = new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "short" });

const now = () => Date.now() - skew;

function short(seconds) {
  return seconds >= 86400 ? `${Math.floor(seconds / 86400)} d` : words(seconds >= 3600 ? seconds - (seconds % 3600) : seconds);
}

// For the server, which must know what "tomorrow at nine" means here.
document.cookie = `zone=${encodeURIComponent(Intl.DateTimeFormat().resolvedOptions().timeZone)}; path=/; max-age=31536000; samesite=lax`;

const sameDay = (at) => new Date(at).toDateString() === new Date(now()).toDateString();

const styles = {
  clock: (at) => (sameDay(at) ? clock : dayClock).format(at),
  day: (at, zone) => (zone ? dayOf(zone) : day).format(at),
  hour: (at, zone) => (zone ? clockOf(zone) : clock).format(at),
  full: (at, zone) => (zone ? dayClockOf(zone) : dayClock).format(at),
  wake: (at) => (sameDay(at) ? clock : weekdayClock).format(at),
  ago: (at) => (now() - at < 60_000 ? "just now" : `${short((now() - at) / 1000)} ago`),
  since: (at) => words((now() - at) / 1000),
  left: (at) => left(at - now()),
  until: (at) => (at >= now() ? `in ${words((at - now()) / 1000)}` : `${words((now() - at) / 1000)} ago`),
};

// What is left of minutes, by the second.
function left(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function usedOfTarget(used, target) {
  if (used >= target) return `${words(used - target)} over`;
  const [left, right] = [words(used), words(target)];
  const unit = (text) => text.slice(text.indexOf(" "));
  return `${unit(left) === unit(right) ? left.slice(0, left.indexOf(" ")) : left} of ${right}`;
}

function advance(promise) {
  const { used, target, at, running } = promise.dataset;
  const passed = running === undefined ? 0 : Math.max(0, (now() - Date.parse(at)) / 1000);
  const seconds = Number(used) + passed;
  const share = Number(target) ? seconds / Number(target) : 1;
  promise.dataset.level = share < 0.5 ? "calm" : share < 0.8 ? "near" : share < 1 ? "close" : "over";
  put(promise.querySelector(".promise-text"), usedOfTarget(seconds, Number(target)));
  promise.querySelector(".bar rect").setAttribute("width", `${Math.min(100, 100 * share)}%`);
}

function refresh(root = document) {
  for (const element of root.querySelectorAll("time[data-when]")) {
    const at = Date.parse(element.dateTime);
    put(element, styles[element.dataset.when](at, element.dataset.zone));
    if (!element.title) element.title = full.format(at);
  }
  root.querySelectorAll("[data-promise]").forEach(advance);
}

refresh();
setInterval(refresh, 5_000);
setInterval(() => {
  for (const element of document.querySelectorAll('time[data-when="left"]')) put(element, left(Date.parse(element.dateTime) - now()));
}, 1_000);
document.addEventListener("htmx:afterSwap", () => refresh());
document.addEventListener("htmx:oobAfterSwap", () => refresh());
document.addEventListener("visibilitychange", () => document.hidden || refresh());
