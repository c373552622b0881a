// Lets a browser be told that a request waits. Asks for permission on a click and never before.

const place = document.querySelector("[data-push]");
const OWNER = "push person"; // for whom this browser was switched on
const CONFIRMED = "push confirmed"; // by a page of this session

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const shown = (state) => {
  for (const each of place.querySelectorAll("[data-push-told]")) each.hidden = each.dataset.pushTold !== state;
};

async function send(path, token, endpoint) {
  const body = new URLSearchParams({ form_token: token, endpoint });
  const answer = await fetch(path, { method: "POST", body, headers: { Accept: "application/json" } });
  if (answer.redirected || !answer.ok) throw new Error(String(answer.status));
}

function isOurs(subscription) {
  if (place.dataset.push === "") return true; // the list does not know the key
  const key = new Uint8Array(subscription.options.applicationServerKey ?? []);
  const wanted = bytes(place.dataset.push);
  return key.length === wanted.length && key.every((value, index) => value === wanted[index]);
}

async function current(manager) {
  const subscription = await manager.getSubscription();
  if (subscription === null) return null;
  if (isOurs(subscription) && localStorage.getItem(OWNER) === place.dataset.person) return subscription;
  await subscription.unsubscribe(); // of another key, or of whoever used this browser before
  return null;
}

async function show(manager) {
  const isOn = Notification.permission === "granted" && (await current(manager)) !== null;
  const isDenied = Notification.permission === "denied";
  shown(isOn ? "on" : isDenied ? "denied" : "off");
  place.querySelector("[data-push-on]").hidden = isOn || isDenied;
  place.querySelector("[data-push-off]").hidden = !isOn;
}

async function turnOn(manager) {
  if ((await Notification.requestPermission()) === "granted") {
    await current(manager);
    const options = { userVisibleOnly: true, applicationServerKey: bytes(place.dataset.push) };
    const subscription = await manager.subscribe(options);
    await send("/devices/push", place.dataset.token, subscription.endpoint);
    localStorage.setItem(OWNER, place.dataset.person);
  }
  await show(manager);
}

async function turnOff(manager) {
  const subscription = await current(manager);
  localStorage.removeItem(OWNER);
  if (subscription !== null) {
    await subscription.unsubscribe();
    await send("/devices/push/end", place.dataset.endToken, subscription.endpoint);
  }
  await show(manager);
}

async function prepare() {
  const { pushManager } = await navigator.serviceWorker.ready;
  const subscription = await current(pushManager);
  // The session may be another one than it was switched on in: it goes with this one from now on.
  if (subscription !== null && sessionStorage.getItem(CONFIRMED) === null) {
    await send("/devices/push", place.dataset.token, subscription.endpoint)
      .then(() => sessionStorage.setItem(CONFIRMED, "yes"))
      .catch(() => {});
  }
  if (place.querySelector("[data-push-on]") === null) return; // the list: nothing to switch there
  for (const [name, work] of [["on", turnOn], ["off", turnOff]]) {
    const button = place.querySelector(`[data-push-${name}] button`);
    button.addEventListener("click", async () => {
      button.disabled = true;
      await work(pushManager).catch(() => shown("failed"));
      button.disabled = false;
    });
  }
  await show(pushManager);
}

if (place !== null && document.documentElement.dataset.oldCopy === undefined) {
  if ("serviceWorker" in navigator && "PushManager" in window && "Notification" in window) prepare();
  else shown("unsupported");
}
