// Files that go with a reply: chosen, pasted or dropped; a list of them, from which each can be taken again.
import { icon } from "./icon.js";
import { say } from "./toasts.js";

const chosen = new WeakMap();
const input = (form) => form?.querySelector("input[data-files]");
const size = (bytes) => (bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.max(1, Math.floor(bytes / 1000))} kB`);

function keep(field, files) {
  const most = Number(field.dataset.most);
  const room = Number(field.dataset.maxBytes);
  const kept = [];
  let total = 0;
  for (const file of files) {
    if (kept.length === most) say(`A reply carries ${most} files at most.`);
    else if (total + file.size > room) say(`${file.name} is too large: the files of a reply may have ${room / 1e6} MB together.`);
    else {
      kept.push(file);
      total += file.size;
    }
  }
  const transfer = new DataTransfer();
  kept.forEach((file) => transfer.items.add(file));
  field.files = transfer.files;
  chosen.set(field, kept);
  show(field);
}

const add = (field, files) => keep(field, [...(chosen.get(field) ?? []), ...files]);

function show(field) {
  const list = field.form.querySelector("[data-file-list]");
  const files = chosen.get(field) ?? [];
  list.hidden = !files.length;
  list.replaceChildren(...files.map((file, index) => {
    const item = document.createElement("li");
    const name = document.createElement("span");
    name.textContent = file.name;
    const bytes = document.createElement("small");
    bytes.textContent = size(file.size);
    const remove = document.createElement("button");
    remove.type = "button";
    remove.className = "icon-button";
    remove.dataset.removeFile = index;
    remove.setAttribute("aria-label", `Remove ${file.name}`);
    remove.append(icon("x"));
    item.append(icon("paperclip"), name, bytes, remove);
    return item;
  }));
}

document.addEventListener("click", ({ target }) => {
  const pick = target.closest("[data-pick]");
  if (pick) return document.getElementById(pick.dataset.pick).click();
  const remove = target.closest("[data-remove-file]");
  if (!remove) return;
  const field = input(remove.form ?? remove.closest("form"));
  keep(field, chosen.get(field).filter((_, index) => index !== Number(remove.dataset.removeFile)));
  field.form.querySelector("textarea").focus();
});

document.addEventListener("change", ({ target }) => {
  // What was chosen before stays: a second choice adds to it.
  if (target.matches("input[data-files]")) add(target, target.files);
});

document.addEventListener("paste", (event) => {
  const field = input(event.target.closest?.("form"));
  if (!field || !event.clipboardData?.files.length) return;
  event.preventDefault();
  add(field, event.clipboardData.files);
});

const dropped = (event) => event.dataTransfer?.types.includes("Files") && input(event.target.closest?.(".composer"));
document.addEventListener("dragover", (event) => {
  const field = dropped(event);
  if (!field) return;
  event.preventDefault();
  field.closest(".composer").dataset.drop = "";
});
document.addEventListener("dragleave", ({ target, relatedTarget }) => {
  const composer = target.closest?.(".composer");
  if (composer && !composer.contains(relatedTarget)) delete composer.dataset.drop;
});
document.addEventListener("drop", (event) => {
  const field = dropped(event);
  if (!field) return;
  event.preventDefault();
  delete field.closest(".composer").dataset.drop;
  add(field, event.dataTransfer.files);
});

document.addEventListener("reset", ({ target }) => {
  const field = input(target);
  if (field) keep(field, []);
});
// The list that the server sends is empty; ours is not.
document.addEventListener("htmx:afterSettle", () => document.querySelectorAll("input[data-files]").forEach((field) => chosen.has(field) && show(field)));
