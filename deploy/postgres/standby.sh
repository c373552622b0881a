#!/bin/sh
# A standby: copies the primary when it is new, follows it from then on. $STANDBY is its name.
set -eu
umask 077
# libpq reads the password from a file: host, port, database, user, password.
printf 'database:5432:*:replicator:%s\n' "$(cat /run/secrets/replicator-password)" > /tmp/pgpass
export PGPASSFILE=/tmp/pgpass
primary="host=database user=replicator sslmode=verify-full sslrootcert=/etc/postgres/tls/ca.pem"
primary="$primary passfile=$PGPASSFILE application_name=$STANDBY connect_timeout=5"
# At every start: a standby that became the primary knows nothing of the others' slots.
slot() {
    pg_receivewal --dbname "$primary" --slot "$STANDBY" --create-slot --if-not-exists
}
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    until slot && pg_basebackup --dbname "$primary" --pgdata "$PGDATA" --write-recovery-conf \
        --wal-method stream --checkpoint fast --slot "$STANDBY"; do
        rm -rf "${PGDATA:?}"/*
        sleep 5
    done
elif [ -e "$PGDATA/standby.signal" ]; then
    slot || echo "the primary does not answer: followed as soon as it does" >&2
fi
exec postgres -c config_file=/etc/postgres/postgresql.conf -c "primary_slot_name=$STANDBY"
