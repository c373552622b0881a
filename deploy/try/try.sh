#!/bin/sh
# Everything in compose.yaml on one host, from nothing to signatures. Needs podman (or docker),
# its compose, openssl; as root, since files must belong to the users in the containers.
#   sh deploy/try/try.sh FOLDER     # a new one; the images are there: docs/deployment.md
# $COMPOSE is the compose command. To end and forget it: `$COMPOSE down --volumes` in FOLDER.
set -eu
compose=${COMPOSE:-podman-compose}
export SAM_IMAGE="${SAM_IMAGE:-remote-signing-softhsm}"
export HTTP="${HTTP:-127.0.0.1:8080}" HTTPS="${HTTPS:-127.0.0.1:8443}"
sh "$(dirname "$0")/prepare.sh" "$1"
cd "$1"
printf 'SAM_IMAGE=%s\nHTTP=%s\nHTTPS=%s\n' "$SAM_IMAGE" "$HTTP" "$HTTPS" > .env

command() {
    $compose --profile try run -T --rm --no-deps ceremony remote_signing.cli "$@"
}
for node in node-1 node-2; do
    command hsm development-token "/var/lib/tokens/$node" "$node"
    cat "tokens/$node/pin" > "secrets/$node-pin" # what is there keeps its owner and mode
done
pinned=$(command ra init --key /custodians/ra.key | tr -d '\r' | grep '^"')
sed -i "s|^\"ra-1\" = .*|$pinned|" config/sam.toml
command hsm init --custodian Bình --custodian Cường --custodian Dung --threshold 2 \
    --operator Trial --organization Trial --root-name "Root (trial)" --issuing-name "CA (trial)" \
    --root-crl-url http://rssp.example.vn/pki/root.crl \
    --root-certificate-url http://rssp.example.vn/pki/root.crt --out /custodians/made

# One after the other, since compose does not heed `depends_on` with every podman.
up() {
    $compose up --detach --no-deps "$@"
}
up postgres standby-1 standby-2
until $compose exec -T postgres pg_isready --quiet --host 127.0.0.1; do
    sleep 1
done
$compose run -T --rm --no-deps migrate
up sam-1 sam-2
up --scale rssp=2 rssp
up --scale consent=2 consent
up balancer
$compose --profile try run -T --rm --no-deps people
