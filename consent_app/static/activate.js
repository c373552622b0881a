// Takes the code out of the link, where it stands behind the "#" and goes to no server.
const code = location.hash.slice(1);
if (/^[0-9A-Za-z-]{20,40}$/.test(code)) {
  document.querySelector("#code").value = code;
  history.replaceState(null, "", location.pathname); // not in the history either
  document.querySelector("#password").focus();
}
