// The live stream: says whether it is there, and catches up on what was missed while it was not.
import htmx from "./htmx.js";

const texts = { live: "Live", lost: "Connection lost. Trying again…", connecting: "Connecting…" };
// The most that the server gives at once.
const MAX_ROWS = 200;
let wasLost = false;

function show(state) {
  for (const element of document.querySelectorAll("[data-live-state]")) {
    element.dataset.liveState = state;
    element.querySelector("[data-live-text]").textContent = texts[state];
  }
}

document.addEventListener("htmx:sseOpen", () => {
  show("live");
  if (wasLost) document.querySelectorAll("[data-live]").forEach((element) => htmx.trigger(element, "refresh"));
  wasLost = false;
});
document.addEventListener("htmx:sseError", () => {
  wasLost = true;
  show("lost");
});

// A list that was extended by "Show more" asks for as many rows as it shows.
document.addEventListener("htmx:configRequest", ({ detail, target }) => {
  if (!target.matches("[data-live]")) return;
  const rows = Math.min(MAX_ROWS, target.querySelectorAll("[data-row]").length);
  if (rows) detail.parameters.append("limit", rows);
});

// Filters apply as soon as they are chosen.
document.addEventListener("change", ({ target }) => target.closest("[data-filters]")?.requestSubmit());
