// The theme is a cookie, so that the server can say it in the first byte and nothing flashes.
document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-themes] button");
  if (!button) return;
  document.cookie = `theme=${button.value}; path=/; max-age=31536000; samesite=lax`;
  document.documentElement.dataset.theme = button.value;
  for (const other of document.querySelectorAll("[data-themes] button")) other.setAttribute("aria-pressed", other.value === button.value);
  document.dispatchEvent(new Event("themechange"));
});
