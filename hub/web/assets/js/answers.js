// What is asked for when it is first seen: data-answer. To look again after a failure asks again.
const isAnswer = (element) => element.matches("[data-answer]");

document.addEventListener("htmx:afterSettle", ({ target }) => isAnswer(target) && target.scrollIntoView({ block: "nearest" }));
for (const failure of ["htmx:sendError", "htmx:responseError"]) {
  document.addEventListener(failure, ({ target }) => {
    if (isAnswer(target)) target.textContent = "No answer came. Close this and open it to try again.";
  });
}
