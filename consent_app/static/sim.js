// Asks until the SIM has answered, then loads the page again. Without it the page reloads itself.

const waiting = document.querySelector("[data-sim-state]");
const PAUSE = 3000; // milliseconds after an error, so that an outage is not made worse

async function follow(address, version) {
  let seen = version;
  for (;;) {
    try {
      const answer = await fetch(`${address}?version=${seen}`, { headers: { Accept: "application/json" } });
      if (answer.redirected || answer.status === 404) break; // no session, or no request any more
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
