// The live stream: says whether it is there, and catches up on what was missed while it was not.
import htmx from "./htmx.js";

const texts = { live: "Live", lost: "Connection lost. Trying again…", connecting: "Connecting…" };
// A page of the server's, and the most that it gives at once.
const PAGE_ROWS = 50;
const MAX_ROWS = 200;

function show(state) {
  for (const element of document.querySelectorAll("[data-live-state]")) {
    element.dataset.liveState = state;
    element.querySelector("[data-live-text]").textContent = texts[state];
  }
}

// What happened between the page's making, or the stream's end, and its beginning was told to nobody.
document.addEventListener("htmx:sseOpen", () => {
  show("live");
  document.querySelectorAll("[data-live]").forEach((element) => htmx.trigger(element, "refresh"));
});
document.addEventListener("htmx:sseError", () => show("lost"));

// A list that was extended by "Show more" asks for as many rows as it shows.
document.addEventListener("htmx:configRequest", ({ detail, target }) => {
  if (!target.matches("[data-live]")) return;
  const rows = Math.min(MAX_ROWS, target.querySelectorAll("[data-row]").length);
  if (rows > PAGE_ROWS) detail.parameters.append("limit", rows);
});

// Filters apply as soon as they are chosen.
document.addEventListener("change", ({ target }) => target.closest("[data-filters]")?.requestSubmit());
