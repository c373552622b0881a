#!/usr/bin/env bash
# One signature from end to end with curl and openssl. Standard input: the address that the
# signer's browser came back to. Leaves FILE.sig (DER) and FILE.pem (the signer's certificate).
#   RSSP=https://… CLIENT=… LOGIN=login.curl REDIRECT=https://… CREDENTIAL=… bash sign.sh FILE
# LOGIN is a file for curl with the line: user = "CLIENT:SECRET" (on a command line everybody sees it)
set -euo pipefail
file=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
SHA256=2.16.840.1.101.3.4.2.1 ECDSA_SHA256=1.2.840.10045.4.3.2

b64url() { openssl base64 -A | tr +/ -_ | tr -d =; }
member() { sed 's/.*"'"$1"'":\[*"\([^"]*\)".*/\1/'; } # of an answer, where it is a string
# METHOD TOKEN-FILE BODY. No answer, or "not now": the same again. That is right for signHash, which
# gives the same signature again, and for what only reads.
csc() {
  local answer try
  for try in 1 2 3 4 5; do
    answer=$(curl -sSf --retry 3 -K "$2" -H "Content-Type: application/json" -d "$3" "$RSSP/csc/v2/$1") \
      && { printf '%s\n' "$answer"; return; }
    [ $? -ne 22 ] || return 22 # the service said no
    sleep 1
  done
  return 1
}
bearer() { member access_token | sed 's/.*/header = "Authorization: Bearer &"/'; }

# 1 · The certificate, with a token of the client's own.
curl -sSfK "$LOGIN" "$RSSP/oauth2/token" -d grant_type=client_credentials -d scope=service | bearer > "$work/service.curl"
csc credentials/info "$work/service.curl" '{"credentialID":"'"$CREDENTIAL"'"}' \
  | member certificates | openssl base64 -d -A | openssl x509 -inform DER -out "$file.pem"

# 2 · The question: whose consent, to which hash, under what name.
hash=$(openssl dgst -sha256 -binary "$file" | openssl base64 -A)
state=$(openssl rand -hex 16) verifier=$(openssl rand -hex 32)
challenge=$(printf %s "$verifier" | openssl dgst -sha256 -binary | b64url)
details='[{"type":"credential","credentialID":"'$CREDENTIAL'","hashAlgorithmOID":"'$SHA256'","documentDigests":[{"hash":"'$hash'","label":"'$(basename "$file")'"}]}]'
curl -sSfK "$LOGIN" "$RSSP/oauth2/pushed_authorize" --data-urlencode "redirect_uri=$REDIRECT" \
  -d response_type=code -d "state=$state" -d "code_challenge=$challenge" -d code_challenge_method=S256 \
  --data-urlencode "authorization_details=$details" > "$work/pushed.json"
echo "code to compare: $(member verificationCode < "$work/pushed.json")"
echo "for the signer: $RSSP/oauth2/authorize?client_id=$CLIENT&request_uri=$(member request_uri < "$work/pushed.json")"

# 3 · The signer has agreed: is it the answer to this question? Then the code becomes a token, once.
read -r address
case $address in *"state=$state"*) ;; *) echo "not the answer to this question" >&2; exit 1 ;; esac
code=$(sed -n 's/.*[?&]code=\([^&]*\).*/\1/p' <<< "$address")
curl -sSfK "$LOGIN" "$RSSP/oauth2/token" -d grant_type=authorization_code -d "code=$code" \
  -d "code_verifier=$verifier" --data-urlencode "redirect_uri=$REDIRECT" | bearer > "$work/credential.curl"

# 4 · The signature, and whether it is one.
csc signatures/signHash "$work/credential.curl" \
  '{"credentialID":"'"$CREDENTIAL"'","hashes":["'"$hash"'"],"signAlgo":"'"$ECDSA_SHA256"'"}' \
  | member signatures | openssl base64 -d -A > "$file.sig"
openssl x509 -in "$file.pem" -pubkey -noout > "$work/signer.pub"
openssl dgst -sha256 -verify "$work/signer.pub" -signature "$file.sig" "$file"
