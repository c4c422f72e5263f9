// The text field of a reply or a note: grows with its text, keeps a draft until the server has it, sends by Ctrl+Enter.
const key = (field) => `draft:${field.dataset.draft}`;
const fields = () => document.querySelectorAll("textarea[data-draft]");

const MEASURE_AFTER_MS = 250;
let measuring;

function tell(counter, left) {
  counter.textContent = left;
  counter.hidden = left > 80;
  counter.toggleAttribute("data-over", left < 0);
}

// How long a text is, its network says (links and emoji count as it pleases); until it has, by our own count.
function count(field) {
  const counter = field.form.querySelector("[data-left]");
  if (!counter) return;
  const text = field.value;
  tell(counter, Number(counter.dataset.left) - [...text].length);
  clearTimeout(measuring);
  if (text) measuring = setTimeout(() => measure(field, counter, text), MEASURE_AFTER_MS);
}

async function measure(field, counter, text) {
  try {
    const answer = await fetch(counter.dataset.measure, { method: "POST", body: new URLSearchParams({ text }) });
    if (!answer.ok || field.value !== text) return;
    const { length, limit } = await answer.json();
    if (limit !== null) tell(counter, limit - length);
  } catch {
    // The hub is away: our own count stands.
  }
}

function restore() {
  for (const field of fields()) {
    field.value ||= localStorage.getItem(key(field)) ?? "";
    count(field);
  }
}

document.addEventListener("input", ({ target }) => {
  if (!target.matches("textarea[data-draft]")) return;
  if (target.value.trim()) localStorage.setItem(key(target), target.value);
  else localStorage.removeItem(key(target));
  count(target);
});

document.addEventListener("keydown", (event) => {
  const field = event.target.closest?.("textarea[data-draft]");
  if (!field || event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  const solving = event.shiftKey && field.form.querySelector('button[name="solve"]');
  field.form.requestSubmit(solving || field.form.querySelector("button.primary"));
});

// A shown tab of the composer puts the cursor where one writes.
document.addEventListener("click", ({ target }) => {
  const tab = target.closest("[data-composer-tab]");
  if (tab) document.getElementById(tab.getAttribute("aria-controls")).querySelector("textarea").focus();
});

document.addEventListener("htmx:beforeOnLoad", ({ detail, target }) => {
  const field = target.querySelector?.("textarea[data-draft]");
  // What was refused comes back as the page with a notice of kind "bad".
  if (!field || detail.xhr.status >= 400 || detail.xhr.responseText.includes('data-kind="bad"')) return;
  localStorage.removeItem(key(field));
  field.form.reset();
  // The keys mean acts again: n goes on to the next.
  document.querySelector("[data-thread]")?.focus({ preventScroll: true });
});
document.addEventListener("htmx:afterSettle", restore);

// The newest message is what one came to read.
function toEnd() {
  const thread = document.querySelector("[data-thread]");
  if (thread) thread.scrollTop = thread.scrollHeight;
}

let nearEnd = true;
document.addEventListener("htmx:beforeSwap", () => {
  const thread = document.querySelector("[data-thread]");
  nearEnd = !thread || thread.scrollHeight - thread.scrollTop - thread.clientHeight < 120;
});
document.addEventListener("htmx:afterSwap", () => nearEnd && toEnd());

restore();
toEnd();
