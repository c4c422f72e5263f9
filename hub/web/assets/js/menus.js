// Menus close when the reader turns elsewhere; dialogs open by name; a phone shows one side of a page at a time.
const close = (menu) => menu.removeAttribute("open");

document.addEventListener("click", ({ target }) => {
  for (const menu of document.querySelectorAll("details[data-menu][open]")) if (!menu.contains(target)) close(menu);

  const opener = target.closest("[data-opens]");
  if (opener) {
    opener.closest("[data-menu]")?.removeAttribute("open");
    document.getElementById(opener.dataset.opens).showModal();
  }
  if (target.matches("dialog")) target.close();

  const tab = target.closest("[data-shows]");
  if (tab) {
    tab.closest("[data-view]").dataset.view = tab.dataset.shows;
    for (const other of tab.closest("[role=tablist]").children) other.setAttribute("aria-selected", other === tab);
  }
});

// What opens to be written in is ready to be written in. `toggle` does not bubble.
document.addEventListener("toggle", ({ target }) => target.open && target.querySelector?.("[data-first]")?.focus(), true);

document.addEventListener("keydown", ({ key }) => {
  const menu = key === "Escape" && document.querySelector("details[data-menu][open]");
  if (!menu) return;
  close(menu);
  menu.querySelector("summary").focus();
});
