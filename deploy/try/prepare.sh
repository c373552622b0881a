#!/bin/sh
# A folder with everything compose.yaml needs, for a trial: certificates, secrets, SoftHSM's nodes.
#   sh deploy/try/prepare.sh FOLDER
# Run as root, files get the owners that the containers run as; otherwise they stay yours.
set -eu
umask 077
deploy=$(cd "$(dirname "$0")/.." && pwd)
mkdir "$1"
cd "$1"
cp "$deploy/compose.yaml" "$deploy/haproxy.cfg" "$deploy/try/sign.py" .
cp "$deploy/try/compose.yaml" compose.override.yaml
cp -r "$deploy/postgres" "$deploy/config" "$deploy/pages" .
mkdir -p authorities ceremony custodians secrets state tokens tls/balancer tls/database tls/public

own() { # USER FILE…: when we may
    user=$1
    shift
    test "$(id -u)" -ne 0 || chown -R "$user:$user" "$@"
}
key() {
    set -- "$@" -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc
    openssl req -x509 "$@" 2>>openssl.log
}
authority() { # NAME
    key -days 30 -subj "/CN=$1 (trial)" -keyout "authorities/$1.key" -out "authorities/$1.pem" \
        -addext "keyUsage=critical,keyCertSign,cRLSign"
}
certificate() { # AUTHORITY KEY CERTIFICATE NAME…
    authority=authorities/$1 key=$2 out=$3
    shift 3
    names=$(printf ',DNS:%s' "$@")
    key -days 30 -CA "$authority.pem" -CAkey "$authority.key" -keyout "$key" -out "$out" \
        -subj "/CN=$1" -addext "subjectAltName=${names#,}" \
        -addext "basicConstraints=critical,CA:FALSE" -addext "keyUsage=critical,digitalSignature"
}

for name in names sap database clients; do
    authority "$name"
done
certificate sap secrets/rssp-key tls/public/rssp.pem rssp
certificate sap secrets/sam-key tls/public/sam.pem sam
certificate database secrets/database-key tls/database/server.pem database
certificate names authorities/balancer.key authorities/balancer.pem rssp.example.vn ky.example.vn
cat authorities/balancer.pem authorities/balancer.key > tls/balancer/names.pem
cp authorities/sap.pem tls/public/sap-ca.pem
cp authorities/database.pem tls/public/database-ca.pem
cp authorities/database.pem tls/database/ca.pem
cp authorities/names.pem tls/public/names-ca.pem
cp authorities/clients.pem tls/client-ca.pem

for name in superuser owner database replicator; do
    openssl rand -hex 24 > "secrets/$name-password"
done
# Made with the tokens; until then they are only there.
touch secrets/node-1-pin secrets/node-2-pin

# A small host, nodes of SoftHSM, an authority of our own for the names.
sed -i -e "s/^shared_buffers = .*/shared_buffers = '128MB'/" -e "s/^max_wal_size = .*/max_wal_size = '1GB'/" \
    postgres/postgresql.conf
sed -i -e 's|^module = .*|module = "/usr/lib/softhsm/libsofthsm2.so"|' -e 's/^workers = 8/workers = 2/' \
    -e 's|^token_label = "\(.*\)"|&\nenvironment = { SOFTHSM2_CONF = "/var/lib/tokens/\1/softhsm2.conf" }|' \
    config/sam.toml
sed -i 's/^workers = 4/workers = 2/' config/rssp.toml
sed -i 's/maxconn 20000/maxconn 2000/' haproxy.cfg
sed -i 's|^url = "https://rssp.example.vn"|&\nca = "tls/names-ca.pem"|' config/consent.toml

chmod 0755 . tls ceremony
chmod -R a+rX config haproxy.cfg pages postgres sign.py tls/client-ca.pem tls/database tls/public
chmod 0400 secrets/*
# PostgreSQL's roles.sh reads two passwords that are the services', by its further group.
chmod 0440 secrets/owner-password secrets/database-password
own 10001 ceremony custodians secrets/* state tokens
own 999 secrets/superuser-password secrets/replicator-password secrets/database-key
own 99 tls/balancer
