// Lets the browser speak with its user about a passkey and sends what comes of it as a plain form.
// Without JavaScript, without passkeys, or when the user cancels, PIN and code are still there.

const PATIENCE = 120_000; // milliseconds; the browser ends its dialogue then

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const named = (passkeys) =>
  passkeys.map(({ id, transports }) => ({ type: "public-key", id: bytes(id), transports }));

class Told extends Error {} // its message names the words on the page

function tell(kind) {
  for (const each of document.querySelectorAll("[data-told]")) each.hidden = each.dataset.told !== kind;
}

async function ask(form, fields) {
  const body = new URLSearchParams({ form_token: form.dataset.askToken, ...fields });
  let answer;
  try {
    const headers = { Accept: "application/json" };
    // Not followed, lest the sign-in form's word about the session is said to nobody.
    answer = await fetch(form.dataset.ask, { method: "POST", body, headers, redirect: "manual" });
  } catch {
    throw new Told("away");
  }
  const isJson = answer.headers.get("Content-Type")?.startsWith("application/json");
  if (answer.type === "opaqueredirect" || answer.status === 409 || (answer.status === 403 && !isJson)) {
    // The session is over, somebody else was first, or the page is of a session before this one:
    // no second try can help, and the page says how it stands.
    location.reload();
    return new Promise(() => {});
  }
  if (answer.status === 404) throw new Told("none");
  if (answer.status === 403) throw new Told((await answer.json()).reason);
  if (!answer.ok) throw new Told("away");
  return answer.json();
}

async function get({ challenge, rp_id: rpId, passkeys }) {
  const publicKey = {
    challenge: bytes(challenge),
    rpId,
    allowCredentials: named(passkeys),
    userVerification: "required",
    timeout: PATIENCE,
  };
  const { rawId, response } = await navigator.credentials.get({ publicKey });
  return JSON.stringify({
    credential_id: text(rawId),
    authenticator_data: text(response.authenticatorData),
    client_data: text(response.clientDataJSON),
    signature: text(response.signature),
    user_handle: response.userHandle === null ? null : text(response.userHandle),
  });
}

async function make(asked, holder, staysFound = false) {
  const publicKey = {
    challenge: bytes(asked.challenge),
    rp: { id: asked.rp_id, name: asked.rp_id },
    user: { id: bytes(asked.user_handle), name: holder, displayName: holder },
    pubKeyCredParams: asked.algorithms.map((alg) => ({ type: "public-key", alg })),
    excludeCredentials: named(asked.passkeys),
    // One that signs in is found without a name. One that approves is not discoverable: such a key
    // stays in the device where the device can choose.
    authenticatorSelection: {
      residentKey: staysFound ? "required" : "discouraged",
      requireResidentKey: staysFound,
      userVerification: "required",
    },
    attestation: "none",
    timeout: PATIENCE,
  };
  const { response } = await navigator.credentials.create({ publicKey });
  return JSON.stringify({
    token: asked.token,
    client_data: text(response.clientDataJSON),
    attestation_object: text(response.attestationObject),
    transports: response.getTransports?.() ?? [],
  });
}

const steps = {
  async signIn(form) {
    form.elements.answer.value = await get(await ask(form, {}));
    form.submit();
  },
  async enter(form) {
    form.elements.made.value = await make(await ask(form, {}), form.dataset.holder, true);
    form.submit();
  },
  async approve(form) {
    const { ids } = form.elements; // of several that are approved together
    form.elements.answer.value = await get(await ask(form, ids ? { ids: ids.value } : {}));
    form.submit();
  },
  async make(form) {
    const made = await make(await ask(form, {}), form.dataset.holder);
    for (const field of document.querySelectorAll("[name=made]")) field.value = made;
    tell("made");
    form.querySelector("[data-start]").className = "second";
    document.querySelector("#confirm").hidden = false;
    document.querySelector("#name").focus();
  },
  async confirm(form) {
    const called = document.querySelector("#name");
    if (!called.reportValidity()) return;
    form.elements.name.value = called.value;
    form.elements.answer.value = await get(await ask(form, { made: form.elements.made.value }));
    form.submit();
  },
};

function words(error, began) {
  if (error instanceof Told) return error.message;
  if (error.name === "InvalidStateError") return "passkey_known";
  if (error.name === "SecurityError" || error.name === "NotSupportedError") return "unsupported";
  return performance.now() - began >= PATIENCE - 1000 ? "late" : "cancelled";
}

function prepare(form) {
  const button = form.querySelector("[data-start]");
  button.hidden = false;
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.getAttribute("aria-disabled") === "true") return; // a double tap is one tap
    button.setAttribute("aria-disabled", "true");
    const began = performance.now();
    tell("");
    try {
      await steps[form.dataset.passkey](form);
    } catch (error) {
      tell(words(error, began));
    }
    button.removeAttribute("aria-disabled");
  });
}

if (window.PublicKeyCredential === undefined) tell("unsupported");
else document.querySelectorAll("form[data-passkey]").forEach(prepare);
