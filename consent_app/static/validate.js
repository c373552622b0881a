// Lets a file be dropped anywhere on the form. Without it the form has its button as ever.

const form = document.querySelector("[data-drop]");

if (form !== null) {
  const field = form.querySelector("input[type=file]");
  const over = (isOver) => form.toggleAttribute("data-over", isOver);

  for (const kind of ["dragenter", "dragover"]) {
    form.addEventListener(kind, (event) => {
      event.preventDefault();
      over(true);
    });
  }
  form.addEventListener("dragleave", (event) => {
    if (!form.contains(event.relatedTarget)) over(false);
  });
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    over(false);
    if (event.dataTransfer.files.length !== 1) return;
    field.files = event.dataTransfer.files;
    form.requestSubmit();
  });
  form.addEventListener("submit", () => form.setAttribute("aria-busy", "true"));
}
