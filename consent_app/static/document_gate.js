// Keeps "Approve" closed until every document that is attached was read to its end on this phone.
// An aid for the reader: what is signed is decided by the hashes, not by this.

const gate = document.querySelector("[data-documents]");
const APPROVING = ["/approve", "/passkey", "/sim/ask", "/batch"];

const forms = () =>
  [...document.querySelectorAll("main form[method=post]")].filter((form) =>
    APPROVING.some((ending) => form.getAttribute("action").endsWith(ending)),
  );

function remembered(key) {
  try {
    return sessionStorage.getItem(key);
  } catch {
    return null; // a browser that keeps nothing: then nothing was read
  }
}

function tell(place, kind) {
  for (const each of place.querySelectorAll("[data-gate-told]")) each.hidden = each.dataset.gateTold !== kind;
}

function close(form) {
  form.querySelector("button.main").disabled = true;
  if (form.querySelector(".gate") === null) {
    form.prepend(gate.querySelector("[data-words]").content.cloneNode(true));
  }
}

function open(form) {
  form.querySelector("button.main").disabled = false;
  form.querySelector(".gate")?.remove();
}

function look() {
  const states = [...gate.querySelectorAll("[data-document]")].map((item) => {
    const { document: address, sha256 } = item.dataset;
    const state = remembered(`${address} ${sha256}`) ?? "unread";
    tell(item, state);
    return state;
  });
  const isStopped = states.includes("tampered");
  gate.querySelector("[data-gate-told=stop]").hidden = !isStopped;
  gate.querySelector("[data-bound]").hidden = isStopped;
  const isRead = states.every((state) => state === "read");
  gate.dataset.gate = isStopped ? "stop" : isRead ? "open" : "closed";
  for (const form of forms()) {
    if (isStopped) form.closest("section").remove();
    else if (isRead) open(form);
    else close(form);
  }
}

if (gate !== null) {
  look();
  addEventListener("pageshow", look); // the back button shows the page as it was left
}
