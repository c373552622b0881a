// Asks until the SIM has answered, then loads the page again. Without it the page reloads itself.

const waiting = document.querySelector("[data-sim-state]");
const PAUSE = 3000; // milliseconds after an error, so that an outage is not made worse

async function follow(address, version) {
  let seen = version;
  for (;;) {
    try {
      // Not followed, lest the sign-in form's word about the session is said to nobody.
      const options = { headers: { Accept: "application/json" }, redirect: "manual" };
      const answer = await fetch(`${address}?version=${seen}`, options);
      if (answer.type === "opaqueredirect" || answer.status === 404) break; // no session, or no request
      if (!answer.ok) throw new Error(String(answer.status));
      const told = await answer.json();
      if (told.state !== "WAITING") break;
      seen = told.version;
      waiting.toggleAttribute("data-delivered", told.isDelivered);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
  }
  location.reload();
}

if (waiting !== null) {
  follow(waiting.dataset.simState, Number(waiting.dataset.version));
}
