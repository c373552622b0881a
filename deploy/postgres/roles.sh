#!/bin/sh
# Run once by the image when the primary's database is new: the owner, the service, the standbys.
set -eu
psql --set=ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
    --set=owner="$(cat /run/secrets/owner-password)" \
    --set=service="$(cat /run/secrets/database-password)" \
    --set=replicator="$(cat /run/secrets/replicator-password)" <<'SQL'
-- The standbys copy what is made here, so they cannot confirm it.
SET synchronous_commit = local;
CREATE ROLE rssp_owner LOGIN PASSWORD :'owner';
CREATE ROLE rssp_service LOGIN PASSWORD :'service';
CREATE ROLE replicator LOGIN REPLICATION PASSWORD :'replicator';
CREATE DATABASE remote_signing OWNER rssp_owner;
SQL
