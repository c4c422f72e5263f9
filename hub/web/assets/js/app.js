// What every page does in the browser. Pages work without it; it makes them live and quick.
import "./setup.js";
import "./time.js";
import "./live.js";
import "./keys.js";
import "./menus.js";
import "./toasts.js";
import "./theme.js";
import "./composer.js";
import "./files.js";
import "./mail.js";
import "./answers.js";
import "./lines.js";
