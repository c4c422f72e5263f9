import "./htmx.js";
import "htmx-ext-sse";
import { Idiomorph } from "idiomorph/htmx";

// What the reader has opened, chosen or filled in is theirs: news from the server leaves it alone.
Idiomorph.defaults.ignoreActiveValue = true;
Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) =>
  !(name === "open" && node.tagName === "DETAILS") && !(name === "data-view");
