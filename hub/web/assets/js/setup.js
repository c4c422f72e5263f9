import "./htmx.js";
import "htmx-ext-sse";
import { Idiomorph } from "idiomorph/htmx";

// What the reader has opened, chosen or written is theirs: news from the server leaves it alone.
const ours = {
  open: (node) => node.tagName !== "DETAILS",
  value: (node) => !node.matches("textarea, [data-keep]"),
  checked: (node) => !node.closest("details[open]"),
  "data-view": () => false,
  // How high a mail is, is known only here.
  style: (node) => node.tagName !== "IFRAME",
  // Images that were asked for are there.
  hidden: (node) => !node.matches("form[data-remote]"),
};
Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) => ours[name]?.(node) ?? true;
// An answer that was asked for stays, while the question stays the same.
Idiomorph.defaults.callbacks.beforeNodeMorphed = (old, fresh) =>
  !(old.matches?.("[data-answer]") && old.getAttribute("hx-get") === fresh.getAttribute("hx-get"));
