// Keeps pages readable without a connection, and says that something waits. SETUP stands above.
//
// It never sends anything later and never answers a request of another site's making. What it keeps
// is what the service marks to be kept (list, history, receipts seen), for one person and a few
// hours; all of it goes with the session, with whoever comes next, and when somebody signs out.

const SHELL = `shell ${SETUP.version}`;
const PAGES = `pages ${SETUP.version}`;
const STATE = "state"; // for whom pages are kept, in which language to speak, in which look
const MOST_PAGES = 60;
const LONGEST = 12 * 3600_000; // milliseconds that a copy is shown: as long as a session lives
const PATIENCE = 2_000; // milliseconds that a visitor waits for what we tidy up
const AWAY = new Set([502, 503, 504]);
const SIGNS_OUT = new Set(["/sign-out", "/account/sign-out"]);
const FILES = new Set(SETUP.shell);

let wiped = 0; // an answer that was asked for before is not kept after
let turn = Promise.resolve();

function inTurn(work) {
  turn = turn.then(work, work);
  return turn;
}

// A cache that does not answer must not hold up a page: the page after it wipes as well (app.js).
function soon(work) {
  return Promise.race([work.catch(() => {}), new Promise((done) => setTimeout(done, PATIENCE))]);
}

// ---- coming and going of versions

self.addEventListener("install", (event) => {
  event.waitUntil(prepare());
});

async function prepare() {
  const cache = await caches.open(SHELL);
  await cache.addAll(SETUP.shell);
  // Nobody's pages: without cookies, so that no session stands in them.
  await cache.addAll(SETUP.pages.map((page) => new Request(page, { credentials: "omit", cache: "no-cache" })));
  await self.skipWaiting();
}

self.addEventListener("activate", (event) => {
  event.waitUntil(takeOver());
});

async function takeOver() {
  for (const name of await caches.keys()) {
    if (![SHELL, PAGES, STATE].includes(name)) await caches.delete(name);
  }
  await self.clients.claim();
}

self.addEventListener("message", (event) => {
  if (event.data === "claim") event.waitUntil(self.clients.claim());
});

// ---- what is remembered

async function state() {
  const found = await (await caches.open(STATE)).match("/state");
  return { person: "-", language: "vi", look: SETUP.look, ...(await found?.json()) };
}

async function remember(changes) {
  const now = { ...(await state()), ...changes };
  await (await caches.open(STATE)).put("/state", new Response(JSON.stringify(now)));
}

async function wipe() {
  wiped += 1;
  await caches.delete(PAGES);
  await remember({ person: "-" });
}

// ---- pages

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (url.origin !== self.location.origin) return;
  if (request.method === "GET" && FILES.has(url.pathname + url.search)) {
    event.respondWith(file(request));
  } else if (request.method === "GET" && isPage(request)) {
    event.respondWith(visit(event, url));
  } else if (request.method === "POST" && request.mode === "navigate" && isFromUs(request)) {
    event.respondWith(send(request, url));
  }
});

function isPage(request) {
  return request.mode === "navigate" || request.headers.get("accept") === "text/html";
}

// A form of another site goes past us, so that it stays one for browser and service.
function isFromUs(request) {
  return request.referrer !== "" && new URL(request.referrer).origin === self.location.origin;
}

async function file(request) {
  return (await (await caches.open(SHELL)).match(request)) ?? fetch(request);
}

async function visit(event, url) {
  const began = wiped;
  let answer = null;
  try {
    answer = await fetch(event.request);
  } catch (error) {
    if (event.request.mode !== "navigate") throw error;
  }
  if (answer !== null && !AWAY.has(answer.status)) {
    const copy = answer.clone();
    event.waitUntil(note(url, copy, began));
    return answer;
  }
  const old = event.request.mode === "navigate" ? await kept(url) : null;
  return old ?? answer ?? said("offline");
}

async function note(url, answer, began) {
  const look = answer.headers.get("X-Offline-Look");
  if (look === null) return; // no page of ours
  const manner = { language: answer.headers.get("Content-Language") ?? "vi", look };
  const person = answer.headers.get("X-Offline-Person"); // null: it does not say
  const since = await inTurn(() => meet(person, manner, began));
  if (since === null) return;
  const isPersons = person !== null && person !== "-" && answer.headers.get("X-Offline-Copy") === "yes";
  if (isPersons && answer.ok && url.search === "") {
    const text = await answer.text(); // not in turn: a body that stalls would hold up every wipe
    await inTurn(() => keep(url.pathname, text, new Headers(answer.headers), since));
  }
  await dress(manner);
}

// Whose page has come; null when somebody has signed out since it was asked for.
async function meet(person, manner, began) {
  if (began !== wiped) return null;
  if (person !== null && person !== (await state()).person) await wipe();
  await remember(person === null ? manner : { person, ...manner });
  return wiped;
}

function own(kind, { language, look }) {
  return `/offline/${language}/${kind}?look=${look}`;
}

// Our own pages in a look that was chosen; those in the usual one came with this version.
async function dress(manner) {
  const shell = await caches.open(SHELL);
  for (const kind of ["offline", "unsent"]) {
    const page = own(kind, manner);
    if ((await shell.match(page)) === undefined) await shell.add(new Request(page, { credentials: "omit" }));
  }
}

async function keep(name, text, headers, since) {
  if (since !== wiped) return;
  headers.set("X-Kept-At", String(Date.now()));
  const cache = await caches.open(PAGES);
  await cache.delete(name);
  await cache.put(name, new Response(text, { headers }));
  const names = await cache.keys();
  for (const each of names.slice(0, Math.max(0, names.length - MOST_PAGES))) await cache.delete(each);
}

async function kept(url) {
  if (url.search !== "") return null;
  await soon(turn); // a wipe that has begun comes first
  const cache = await caches.open(PAGES);
  const copy = await cache.match(url.pathname);
  if (copy === undefined) return null;
  if (Date.now() - Number(copy.headers.get("X-Kept-At")) > LONGEST) {
    await cache.delete(url.pathname);
    return null;
  }
  const text = await copy.text();
  return new Response(text.replace("<html ", "<html data-old-copy "), { headers: copy.headers });
}

// A form is sent now or not at all.
async function send(request, url) {
  if (SIGNS_OUT.has(url.pathname)) {
    wiped += 1; // from here on nothing is kept, whatever is in turn before the wipe
    await soon(inTurn(wipe));
  }
  try {
    return await fetch(request);
  } catch {
    return said("unsent");
  }
}

async function said(kind) {
  const manner = await state();
  const shell = await caches.open(SHELL);
  const page = (await shell.match(own(kind, manner))) ?? (await shell.match(own(kind, { ...manner, look: SETUP.look })));
  if (page === undefined) return Response.error();
  return new Response(await page.text(), { status: 503, headers: page.headers });
}

// ---- being told that something waits: the message is empty, so we ask

self.addEventListener("push", (event) => {
  event.waitUntil(tell());
});

async function tell() {
  const { language } = await state();
  const words = SETUP.words[language] ?? SETUP.words.vi;
  let waiting = null;
  try {
    const answer = await fetch("/events/count", { headers: { Accept: "application/json" } });
    if (answer.ok) waiting = (await answer.json()).waiting;
  } catch {
    // Without a connection, or when the session is over, there is no count.
  }
  if (waiting !== null) await self.navigator.setAppBadge?.(waiting);
  const more = waiting === null ? words.signed_out : waiting === 0 ? words.answered : words.count.replace("#", waiting);
  await self.registration.showNotification(words.title, {
    body: more,
    lang: language,
    tag: "waiting", // one of ours at a time
    renotify: true,
    icon: SETUP.icon,
    badge: SETUP.badge,
  });
}

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(show());
});

async function show() {
  const open = await self.clients.matchAll({ type: "window" });
  const list = open.find((each) => new URL(each.url).pathname === "/");
  await (list === undefined ? self.clients.openWindow("/") : list.focus());
}
