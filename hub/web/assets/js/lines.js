// What is said of a line leads to it: data-line, in the field that the link names.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-line]");
  const field = link && document.querySelector(link.hash);
  if (!field) return;
  event.preventDefault();
  const lines = field.value.split("\n");
  const before = Math.min(Number(link.dataset.line), lines.length) - 1;
  const start = lines.slice(0, before).reduce((sum, line) => sum + line.length + 1, 0);
  field.focus({ preventScroll: true });
  field.setSelectionRange(start, start + lines[before].length);
  field.scrollTo(0, (field.scrollHeight / lines.length) * before - field.clientHeight / 3);
  field.scrollIntoView({ block: "nearest" });
});
