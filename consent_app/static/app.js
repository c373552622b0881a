// The page as an app on the phone: service worker, what is off without a connection, typed text
// that a fault must not lose, the count on the icon, the offer to install. Without it all works.

const page = document.documentElement;
const isOldCopy = page.dataset.oldCopy !== undefined;
const DAY = 86_400_000; // milliseconds
const ASK_AGAIN = 90 * DAY; // who does not want to install it now is left alone so long

// ---- service worker

const address = "/service-worker.js";
// One kind of worker, and no second try as another kind: that would replace the worker while a
// page is on its way through it.
navigator.serviceWorker?.register(address).catch(() => {});

// A page that was on its way while the worker started is not its own yet.
navigator.serviceWorker?.ready.then(({ active }) => {
  if (navigator.serviceWorker.controller === null) active.postMessage("claim");
});

// ---- connection: what answers a request is off, and nothing is kept to be sent later

function connected(isConnected) {
  const told = document.querySelector("[data-no-connection]");
  if (told !== null) told.hidden = isConnected || isOldCopy; // an old copy says so itself
  for (const button of document.querySelectorAll("form[method=post]:not([action='/sign-out']) button")) {
    if (!isConnected && !button.disabled) button.dataset.off = "";
    if (button.dataset.off !== undefined) button.disabled = !isConnected;
    if (isConnected) delete button.dataset.off;
  }
}
addEventListener("offline", () => connected(false));
addEventListener("online", () => (isOldCopy ? location.reload() : connected(true)));
if (isOldCopy || !navigator.onLine) connected(false);

// ---- typed text that is no secret, until the request is answered or the visitor signs out

const draft = (name) => `draft ${location.pathname} ${name}`;

for (const field of document.querySelectorAll("[data-keep]")) {
  const kept = sessionStorage.getItem(draft(field.name));
  if (kept !== null && field.value === "") {
    field.value = kept;
    field.closest("details")?.setAttribute("open", "");
  }
  field.addEventListener("input", () => {
    if (field.value === "") sessionStorage.removeItem(draft(field.name));
    else sessionStorage.setItem(draft(field.name), field.value);
  });
}
if (document.querySelector("[data-answered]") !== null) {
  for (const name of Object.keys(sessionStorage)) {
    if (name.startsWith(draft(""))) sessionStorage.removeItem(name);
  }
}

// ---- the activation code on its way to the page where the signing PIN is chosen (activate.js)

const SETTING_UP = /^\/(activate|welcome|devices|passkeys|pins)(\/|$)/;

function endCode() {
  try {
    const until = Number(sessionStorage.getItem("activation-code")?.split(" ", 1)[0] ?? 0);
    const left = SETTING_UP.test(location.pathname) ? until - Date.now() : 0;
    if (left > 0) setTimeout(endCode, left);
    else sessionStorage.removeItem("activation-code");
  } catch {
    // Where it may not be kept, it is not.
  }
}
endCode();

// ---- the count on the icon

export function badge(count) {
  (count > 0 ? navigator.setAppBadge?.(count) : navigator.clearAppBadge?.())?.catch(() => {});
}
const counted = document.querySelector("[data-waiting]");
if (counted !== null && !isOldCopy) badge(Number(counted.dataset.waiting));

// A page without a connection has no session in it and does not know whether there is one: what
// was typed for a form that was not sent stays, unless that form was to sign out.
const isUnreached = document.querySelector("[data-unreached]") !== null;
if (page.dataset.signedOut !== undefined && (!isUnreached || location.pathname.endsWith("/sign-out"))) {
  sessionStorage.clear();
  badge(0);
  wipe().catch(() => {});
  // Who has signed out is told no more (push.js); after a session that is over by itself he is.
  const hasLeft = isUnreached || document.querySelector("[data-left]") !== null;
  if (hasLeft) localStorage.removeItem("push person");
}

// The address of a form is no page; where the form stood is one.
const back = document.querySelector("[data-back]");
if (back !== null && document.referrer.startsWith(`${location.origin}/`)) back.href = document.referrer;

// The worker does so too; each is there in case the other fails.
async function wipe() {
  for (const name of (await window.caches?.keys()) ?? []) {
    if (name.startsWith("pages ")) await caches.delete(name);
  }
  // Without a worker nobody notes that this person has gone.
  if (navigator.serviceWorker?.controller == null) await window.caches?.delete("state");
}

// ---- the offer to install

const offer = document.querySelector("[data-install]");

function offerToInstall() {
  const later = Number(localStorage.getItem("install later") ?? 0);
  if (offer.dataset.install === "quiet" && Date.now() - later < ASK_AGAIN) return false;
  offer.hidden = false;
  return true;
}
if (offer !== null) {
  addEventListener("beforeinstallprompt", (event) => {
    event.preventDefault(); // no bar of the browser's: a button, for who wants it
    if (!offerToInstall()) return;
    const place = offer.querySelector("[data-install-button]");
    place.hidden = false;
    place.firstElementChild.onclick = async () => {
      place.hidden = true;
      await event.prompt();
    };
  });
  addEventListener("appinstalled", () => (offer.hidden = true));
  // Safari on iPhone and iPad alone knows "standalone", and has no prompt.
  if (navigator.standalone === false && offerToInstall()) offer.querySelector("[data-install-ios]").hidden = false;
  offer.querySelector("[data-install-later]")?.addEventListener("click", () => {
    localStorage.setItem("install later", Date.now());
    offer.hidden = true;
  });
}
