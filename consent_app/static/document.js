// Fetches a document, checks that its SHA-256 is the one that the request is bound to, shows exactly
// these bytes, and remembers when the reader has come to their end.

const place = document.querySelector("#document");
const { content, sha256, size, kind, pages, pictures, library, worker, pageWords } = place.dataset;
const sheets = place.querySelector("[data-sheets]");
const end = place.querySelector("[data-end]");
const KEY = `${content.replace(/\/content$/, "")} ${sha256}`;
const MOST_PIXELS = 4_000_000; // of one canvas: phones give a page no more
const MOST_DRAWN = 6; // canvases at a time
const SHARPER = 2; // than the screen at first: the reader zooms with two fingers

class Stop extends Error {} // its message names the words on the page

function tell(...kinds) {
  for (const each of place.querySelectorAll("[data-told]")) each.hidden = !kinds.includes(each.dataset.told);
}

function remember(state) {
  try {
    sessionStorage.setItem(KEY, state);
  } catch {
    // a browser that keeps nothing: the request will say that nothing was read
  }
}

const hexadecimal = (buffer) => [...new Uint8Array(buffer)].map((b) => b.toString(16).padStart(2, "0")).join("");

async function fetched() {
  if (globalThis.crypto?.subtle === undefined) throw new Stop("unsupported");
  let bytes;
  try {
    const answer = await fetch(content, { cache: "no-store" });
    if (answer.redirected) {
      location.reload(); // the session is over: the page leads to the sign-in
      return new Promise(() => {});
    }
    if (!answer.ok) throw new Stop("away");
    bytes = await answer.arrayBuffer();
  } catch {
    throw new Stop("away");
  }
  const digest = hexadecimal(await crypto.subtle.digest("SHA-256", bytes));
  if (digest !== sha256 || bytes.byteLength !== Number(size)) throw new Stop("tampered");
  return bytes;
}

function sheet(number) {
  const made = document.createElement("div");
  made.className = "sheet";
  made.setAttribute("role", "group");
  made.setAttribute("aria-label", pageWords.replace("#", number));
  sheets.append(made);
  return made;
}

// ---- PDF

async function showPdf(bytes) {
  const pdf = await import(library);
  pdf.GlobalWorkerOptions.workerSrc = worker;
  const task = pdf.getDocument({
    data: bytes,
    isEvalSupported: false,
    enableXfa: false,
    useWasm: false,
    useSystemFonts: true,
    stopAtErrors: true, // half a page is no page: then the pictures
    verbosity: 0,
  });
  try {
    const found = await task.promise;
    if (found.numPages !== Number(pages)) throw new Error("two readers, two documents");
    await showPages(found);
  } catch (error) {
    await task.destroy();
    throw error;
  }
}

async function showPages(found) {
  const first = (await found.getPage(1)).getViewport({ scale: 1 });
  const all = Array.from({ length: found.numPages }, (_, index) => sheet(index + 1));
  for (const each of all) each.style.aspectRatio = `${first.width} / ${first.height}`;
  await draw(found, 1, all[0]); // what cannot be drawn at all is found out here
  const near = new Set([1]); // pages on the screen or close to it
  const drawn = new Set([1]);
  const watcher = new IntersectionObserver(
    (seen) => {
      for (const { target, isIntersecting } of seen) {
        const number = all.indexOf(target) + 1;
        if (isIntersecting) near.add(number);
        else near.delete(number);
      }
      for (const number of near) if (!drawn.has(number)) fill(found, number, all, near, drawn);
      forget(drawn, near, all);
    },
    { rootMargin: "600px 0px" },
  );
  for (const each of all) watcher.observe(each);
}

async function fill(found, number, all, near, drawn) {
  const target = all[number - 1];
  const isWanted = () => near.has(number);
  drawn.add(number);
  try {
    await draw(found, number, target, isWanted);
  } catch {
    if (isWanted()) await picture(number, target).catch(lack);
  }
  if (target.childElementCount === 0) drawn.delete(number);
}

// A page is missing, so nobody has read the document.
function lack() {
  end.remove();
  remember("unread");
  tell("away");
}

function forget(drawn, near, all) {
  for (const number of [...drawn].filter((each) => !near.has(each))) {
    if (drawn.size <= MOST_DRAWN) return;
    all[number - 1].replaceChildren();
    drawn.delete(number);
  }
}

// Whoever scrolls fast passes pages that are gone again before they are drawn.
async function draw(found, number, target, isWanted = () => true) {
  const page = await found.getPage(number);
  if (!isWanted()) return;
  const plain = page.getViewport({ scale: 1 });
  const wanted = (target.clientWidth * devicePixelRatio * SHARPER) / plain.width;
  const scale = Math.min(wanted, Math.sqrt(MOST_PIXELS / (plain.width * plain.height)));
  const viewport = page.getViewport({ scale });
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.floor(viewport.width));
  canvas.height = Math.max(1, Math.floor(viewport.height));
  canvas.setAttribute("aria-hidden", "true");
  await page.render({ canvas, canvasContext: canvas.getContext("2d"), viewport }).promise;
  const words = document.createElement("div");
  words.className = "unseen";
  words.textContent = (await page.getTextContent()).items.map((item) => item.str ?? "").join(" ");
  if (!isWanted()) return;
  target.style.aspectRatio = `${plain.width} / ${plain.height}`;
  target.replaceChildren(canvas, words);
}

// ---- what is not a PDF, and what cannot be drawn here

function showText(bytes) {
  const made = document.createElement("pre");
  made.className = "sheet words";
  made.textContent = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  sheets.append(made);
}

async function showPicture(bytes) {
  const bitmap = await createImageBitmap(new Blob([bytes], { type: kind }));
  const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (bitmap.width * bitmap.height)));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.floor(bitmap.width * scale));
  canvas.height = Math.max(1, Math.floor(bitmap.height * scale));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  canvas.setAttribute("aria-hidden", "true");
  sheet(1).append(canvas);
}

async function picture(number, target) {
  const image = new Image();
  image.alt = pageWords.replace("#", number);
  image.src = `${pictures}${number}`;
  await image.decode();
  target.style.aspectRatio = "";
  target.replaceChildren(image);
}

async function showPictures() {
  sheets.replaceChildren();
  try {
    for (let number = 1; number <= Number(pages); number += 1) await picture(number, sheet(number));
  } catch {
    sheets.replaceChildren();
    throw new Stop("away");
  }
}

async function show(bytes) {
  try {
    if (kind === "application/pdf") await showPdf(bytes);
    else if (kind === "text/plain") showText(bytes);
    else await showPicture(bytes);
    tell("checked");
  } catch {
    if (kind === "text/plain") throw new Stop("away");
    tell("loading", "pictures");
    await showPictures();
    tell("checked", "pictures");
  }
}

function watchForTheEnd() {
  end.hidden = false;
  new IntersectionObserver(([{ isIntersecting }], watcher) => {
    if (!isIntersecting) return;
    watcher.disconnect();
    remember("read");
    place.dataset.read = "";
  }).observe(end);
}

tell("loading");
try {
  await show(await fetched());
  watchForTheEnd();
} catch (error) {
  const why = error instanceof Stop ? error.message : "away";
  if (why === "tampered") remember("tampered");
  tell(why);
}
