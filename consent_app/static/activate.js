// Takes the code out of the link, where it stands behind the "#" and goes to no server, and keeps it
// in this tab for the step in which the signing PIN is chosen: from when the form is sent until that
// page opens, ten minutes at most, and only on the pages between (app.js). Without, it is typed.
const KEPT = "activation-code";
const SHAPE = /^[0-9A-Za-z -]{20,40}$/;
const LIFE = 600_000; // milliseconds
const field = document.querySelector("#code");
const store = (() => { try { return sessionStorage; } catch { return null; } })(); // may be forbidden
const linked = location.hash.slice(1);
const isOpening = document.querySelector("#password") !== null;
if (SHAPE.test(linked)) {
  field.value = linked;
  history.replaceState(null, "", location.pathname); // not in the history either
} else if (!isOpening && field.value === "") {
  const [until, ...code] = (store?.getItem(KEPT) ?? "0").split(" ");
  if (Date.now() < Number(until)) field.value = code.join(" ");
}
store?.removeItem(KEPT);
if (isOpening) {
  field.form.addEventListener("submit", () => {
    if (SHAPE.test(field.value)) store?.setItem(KEPT, `${Date.now() + LIFE} ${field.value}`);
  });
}
if (field.value !== "") document.querySelector(isOpening ? "#password" : "#new_pin").focus();
