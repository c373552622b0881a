// Takes the code out of the link, where it stands behind the "#" and goes to no server, and keeps it
// in this tab for the step in which the signing PIN is chosen. Without, it is typed once more.
const KEPT = "activation-code";
const SHAPE = /^[0-9A-Za-z -]{20,40}$/;
const field = document.querySelector("#code");
const store = (() => { try { return sessionStorage; } catch { return null; } })(); // may be forbidden
const linked = location.hash.slice(1);
const isOpening = document.querySelector("#password") !== null;
if (SHAPE.test(linked)) {
  field.value = linked;
  history.replaceState(null, "", location.pathname); // not in the history either
} else if (!isOpening && field.value === "") {
  field.value = store?.getItem(KEPT) ?? "";
}
if (!isOpening) {
  store?.removeItem(KEPT);
} else {
  field.form.addEventListener("submit", () => {
    if (SHAPE.test(field.value)) store?.setItem(KEPT, field.value);
  });
}
if (field.value !== "") document.querySelector(isOpening ? "#password" : "#new_pin").focus();
