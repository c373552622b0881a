// One signature from end to end with Node 18 or later, and nothing else.
//   RSSP=https://… CLIENT=… KEY=portal.pem REDIRECT=https://… CREDENTIAL=… node sign.mjs FILE
// Standard input: the address that the signer's browser came back to. Leaves FILE.sig (DER) and
// FILE.pem (the signer's certificate).
import { createHash, createPrivateKey, generateKeyPairSync, randomUUID } from "node:crypto";
import { randomBytes, sign, verify, X509Certificate } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { createInterface } from "node:readline/promises";
import { setTimeout as pause } from "node:timers/promises";

const { RSSP, CLIENT, KEY, REDIRECT, CREDENTIAL } = process.env;
const SHA256 = "2.16.840.1.101.3.4.2.1", ECDSA_SHA256 = "1.2.840.10045.4.3.2";
const sha256 = (data) => createHash("sha256").update(data).digest();

// Two keys: one says who asks (private_key_jwt), one binds what is given to this program (DPoP).
const identity = createPrivateKey(readFileSync(KEY));
const holder = generateKeyPairSync("ec", { namedCurve: "P-256" });

function jwt(header, claims, key) {
  const encode = (part) => Buffer.from(JSON.stringify(part)).toString("base64url");
  const text = `${encode({ alg: "ES256", ...header })}.${encode(claims)}`;
  const signature = sign("sha256", Buffer.from(text), { key, dsaEncoding: "ieee-p1363" });
  return `${text}.${signature.toString("base64url")}`;
}

const now = () => Math.floor(Date.now() / 1000);

function proof(url, token) {
  const ath = token && { ath: sha256(token).toString("base64url") };
  const jwk = holder.publicKey.export({ format: "jwk" });
  const claims = { htm: "POST", htu: url, iat: now(), jti: randomUUID(), ...ath };
  return jwt({ typ: "dpop+jwt", jwk }, claims, holder.privateKey);
}

// The answer, read to its end.
async function post(url, body, headers) {
  const signal = AbortSignal.timeout(30_000);
  const answer = await fetch(url, { method: "POST", body, headers, signal });
  return { status: answer.status, text: await answer.text() };
}

function members({ status, text }) {
  if (status >= 300) throw new Error(`${status} ${text}`);
  return JSON.parse(text);
}

// To the authorization server, as this client.
async function form(endpoint, parameters) {
  const url = `${RSSP}/oauth2/${endpoint}`;
  const claims = { iss: CLIENT, sub: CLIENT, aud: RSSP, iat: now(), exp: now() + 60, jti: randomUUID() };
  const body = new URLSearchParams({
    ...parameters,
    client_id: CLIENT,
    client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    client_assertion: jwt({}, claims, identity),
  });
  return members(await post(url, body, { DPoP: proof(url) }));
}

// A method of the CSC API. No answer, or "not now": the same again, with a new proof. That is right
// for signHash, which gives the same signature again, and for what only reads.
async function csc(method, token, request) {
  const url = `${RSSP}/csc/v2/${method}`, body = JSON.stringify(request);
  for (let tries = 5; ; tries--) {
    const headers = {
      "Content-Type": "application/json",
      Authorization: `DPoP ${token}`,
      DPoP: proof(url, token),
    };
    const answer = await post(url, body, headers).catch((lost) => {
      if (tries === 0) throw lost;
      return null;
    });
    if (answer !== null && (answer.status < 502 || tries === 0)) return members(answer);
    await pause(1000);
  }
}

// 1 · The certificate, with a token of the client's own.
const file = process.argv[2], content = readFileSync(file), digest = sha256(content);
const service = await form("token", { grant_type: "client_credentials", scope: "service" });
const info = await csc("credentials/info", service.access_token, { credentialID: CREDENTIAL });
const certificate = new X509Certificate(Buffer.from(info.cert.certificates[0], "base64"));

// 2 · The question: whose consent, to which hash, under what name.
const state = randomUUID(), verifier = randomBytes(32).toString("base64url");
const pushed = await form("pushed_authorize", {
  response_type: "code",
  redirect_uri: REDIRECT,
  state,
  code_challenge: sha256(verifier).toString("base64url"),
  code_challenge_method: "S256",
  authorization_details: JSON.stringify([{
    type: "credential",
    credentialID: CREDENTIAL,
    hashAlgorithmOID: SHA256,
    documentDigests: [{ hash: digest.toString("base64"), label: basename(file) }],
  }]),
});
const query = new URLSearchParams({ client_id: CLIENT, request_uri: pushed.request_uri });
console.log(`code to compare: ${pushed.verificationCode}`);
console.log(`for the signer: ${RSSP}/oauth2/authorize?${query}`);

// 3 · The signer has agreed: is it the answer to this question, from this server? Then the code
// becomes a token. Once: never send a code again.
const lines = createInterface({ input: process.stdin });
const answer = new URL(await lines.question("")).searchParams;
lines.close();
if (answer.get("state") !== state || answer.get("iss") !== RSSP || !answer.has("code")) {
  throw new Error(`not an answer to this question, or a refusal: ${answer.get("error")}`);
}
const { access_token: token } = await form("token", {
  grant_type: "authorization_code",
  code: answer.get("code"),
  redirect_uri: REDIRECT,
  code_verifier: verifier,
});

// 4 · The signature, and whether it is one.
const signed = await csc("signatures/signHash", token, {
  credentialID: CREDENTIAL,
  hashes: [digest.toString("base64")],
  signAlgo: ECDSA_SHA256,
});
const signature = Buffer.from(signed.signatures[0], "base64");
if (!verify("sha256", content, certificate.publicKey, signature)) throw new Error("no signature");
writeFileSync(`${file}.sig`, signature);
writeFileSync(`${file}.pem`, certificate.toString());
console.log("Verified OK");
