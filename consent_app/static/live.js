// Keeps the list as it is at the service: a stream of events says that it has changed, then the
// page fetches itself. Without it there is the link that loads the list again.

import { badge } from "./app.js";

const FIRST_PAUSE = 5_000; // milliseconds until a stream is opened again
const LONGEST_PAUSE = 300_000;
const SPELL = 900_000; // who has not touched the page for so long gets a word instead of a new list

let list = document.querySelector("[data-live]");
let mark = list?.dataset.mark;
let source = null;
let pause = FIRST_PAUSE;
let timer = 0;
let touched = Date.now();

const tell = (name, isShown) => {
  for (const each of document.querySelectorAll(`[data-live-told=${name}]`)) each.hidden = !isShown;
};

function isInUse() {
  const field = list.querySelector("details[open] :is(input, select)");
  return Date.now() - touched > SPELL || (field !== null && field.form.contains(document.activeElement));
}

async function refresh(waiting) {
  badge(waiting);
  document.title = document.title.replace(/ \(\d+\)|(?= – )/, waiting > 0 ? ` (${waiting})` : "");
  if (isInUse()) return tell("changed", true);
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (answer.redirected) return location.reload(); // the session is over
  if (!answer.ok) return tell("changed", true);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const next = fresh.querySelector("[data-live]");
  const focused = list.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  for (const { dataset } of list.querySelectorAll("details[open]")) {
    next.querySelector(`[data-fold=${dataset.fold}]`)?.setAttribute("open", "");
  }
  list.replaceWith(next);
  list = next;
  mark = next.dataset.mark;
  document.title = fresh.title;
  tell("changed", false);
  if (focused !== null) document.querySelector(`[data-live] a[href="${CSS.escape(focused)}"]`)?.focus();
  document.querySelector("[data-live-said]").textContent = next.querySelector("[data-live-count]")?.textContent.trim() ?? "";
}

function close() {
  source?.close();
  source = null;
  clearTimeout(timer);
}

function open() {
  close();
  if (document.hidden || !navigator.onLine) return;
  source = new EventSource(`/events?mark=${encodeURIComponent(mark)}`);
  source.addEventListener("open", () => {
    pause = FIRST_PAUSE;
  });
  source.addEventListener("waiting", (event) => {
    tell("away", false);
    mark = event.lastEventId;
    refresh(JSON.parse(event.data).waiting).catch(() => tell("changed", true));
  });
  source.addEventListener("away", () => tell("away", true));
  source.addEventListener("over", () => location.reload());
  source.addEventListener("error", () => {
    close(); // the browser's own way of trying again knows no back-off
    timer = setTimeout(open, pause * (1 + Math.random() / 2));
    pause = Math.min(pause * 2, LONGEST_PAUSE);
  });
}

if (list !== null && document.documentElement.dataset.oldCopy === undefined) {
  for (const kind of ["pointerdown", "keydown", "scroll"]) {
    addEventListener(kind, () => (touched = Date.now()), { passive: true });
  }
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) touched = Date.now();
    open();
  });
  addEventListener("online", open);
  addEventListener("offline", close);
  addEventListener("pagehide", close);
  open();
}
