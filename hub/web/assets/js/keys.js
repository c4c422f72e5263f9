// One key for each frequent act. An element names its own key: data-key="n" is pressed by n, data-go="q" by g then q.
let afterG = -Infinity;

const typing = (element) => element.matches("textarea, select, [contenteditable], input:not([type=radio], [type=checkbox])");
const visible = (element) => element.checkVisibility({ visibilityProperty: true });

function press(element) {
  if (!element) return false;
  if (element.matches("input, textarea, select, summary")) element.focus();
  if (!element.matches("input, textarea, select")) element.click();
  return true;
}

const find = (selector) => [...document.querySelectorAll(selector)].find(visible);

function move(step) {
  const rows = [...document.querySelectorAll("[data-row]")].filter(visible);
  const at = rows.indexOf(document.activeElement.closest("li, tr, article")?.querySelector("[data-row]"));
  const row = rows[at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + step))];
  row?.focus({ focusVisible: true });
  row?.closest("li, tr, article").scrollIntoView({ block: "nearest" });
  return Boolean(row);
}

function handle(key, target) {
  if (key === "?") return press(find('[data-opens="help"]') ?? document.querySelector('[data-opens="help"]'));
  if (key === "j") return move(1);
  if (key === "k") return move(-1);
  if (key === "/") return press(find('input[type="search"]'));
  const why = key === "w" && target.closest("li")?.querySelector(".why > summary");
  if (why) {
    // The reader stays in the list, on the link that she stands on.
    why.click();
    return true;
  }
  const named = `[data-key="${CSS.escape(key)}"]`;
  // What a closed menu holds is an act all the same.
  return press(find(named) ?? document.querySelector(`[data-menu] .menu-item${named}`));
}

document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (key === "Escape" && typing(target)) return target.blur();
  if (event.ctrlKey || event.metaKey || event.altKey || typing(target) || document.querySelector("dialog[open]")) return;
  if (key === "g") {
    afterG = event.timeStamp;
    return;
  }
  const going = event.timeStamp - afterG < 1200;
  afterG = -Infinity;
  const done = going ? press(document.querySelector(`[data-go="${CSS.escape(key)}"]`)) : key.length === 1 && handle(key, target);
  if (done) event.preventDefault();
});
