// Notices go by themselves after a while, not while they are read or held.
import { icon } from "./icon.js";

const SECONDS = 9;

function watch(toast) {
  let timer;
  const start = () => (timer = setTimeout(() => toast.remove(), SECONDS * 1000));
  const stop = () => clearTimeout(timer);
  toast.addEventListener("pointerenter", stop);
  toast.addEventListener("focusin", stop);
  toast.addEventListener("pointerleave", start);
  toast.addEventListener("focusout", start);
  toast.dataset.watched = "";
  start();
}

const watchAll = () => document.querySelectorAll("[data-toast]:not([data-watched])").forEach(watch);

export function say(text, kind = "bad") {
  const toast = document.createElement("div");
  Object.assign(toast.dataset, { toast: "", kind });
  toast.className = "toast";
  const line = document.createElement("p");
  line.textContent = text;
  const close = document.createElement("button");
  close.className = "icon-button";
  close.dataset.closeToast = "";
  close.setAttribute("aria-label", "Close notice");
  close.append(icon("x"));
  toast.append(icon("circle-alert"), line, close);
  document.getElementById("toasts").append(toast);
  watch(toast);
}

document.addEventListener("click", ({ target }) => target.closest("[data-close-toast]")?.closest("[data-toast]").remove());
document.addEventListener("htmx:oobAfterSwap", watchAll);
document.addEventListener("htmx:sendError", ({ detail }) => {
  if (detail.requestConfig.verb !== "get") say("The hub cannot be reached. Nothing was sent; your text is kept.");
});
document.addEventListener("htmx:responseError", ({ detail }) => {
  if (detail.requestConfig.verb !== "get") say(`That did not work (${detail.xhr.status}). Your text is kept.`);
});
watchAll();
