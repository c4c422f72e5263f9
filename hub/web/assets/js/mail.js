// A mail as it was sent: its frame is as high as it is. It runs nothing of its own, so we look from outside.
document.addEventListener("load", ({ target }) => {
  if (!target.matches?.("iframe[data-mail]")) return;
  const body = target.contentDocument?.body;
  if (!body) return;
  const fit = () => (target.style.height = `${target.contentDocument.documentElement.scrollHeight}px`);
  fit();
  body.querySelectorAll("img").forEach((image) => image.addEventListener("load", fit));
}, true);

// Asked for once, they are there.
document.addEventListener("submit", ({ target }) => {
  if (target.matches("form[data-remote]")) requestAnimationFrame(() => (target.hidden = true));
});
