// The extensions look for htmx on the window, so that it is put there before they are read.
import htmx from "htmx.org";

// Neither eval nor styles of its own: the pages' content security policy allows none.
Object.assign(htmx.config, { allowEval: false, includeIndicatorStyles: false, selfRequestsOnly: true, scrollBehavior: "auto" });
window.htmx = htmx;

export default htmx;
