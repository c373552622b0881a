"""Tables that each signature writes are analysed by a small sample (PostgreSQL).

They are analysed often, and by PostgreSQL's own measure each time from 30,000 pages picked at
random. On a table larger than memory that is a quarter of a gigabyte of scattered reads, and
meanwhile every commit waits for the disk (docs/performance.md). The statements that use these
tables look for keys and short ranges of an index, whose plans a tenth of that decides alike.

A column that comes later needs this, too. A week of the audit table gets it when it is made.

Revises: 0017.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

# Those of revisions 0011, 0015 and 0016, analysed at 2 % of changes, and the credential, whose
# counters each consent writes.
_BUSY = (
    *("replay", "access_token", "login_session", "signature_activation", "webhook_delivery"),
    *("totp_step", "signing_outcome", "credential"),
)
# Of 300 rows each; PostgreSQL's own is 100.
_SAMPLE = """
CREATE FUNCTION take_small_samples(of_table regclass) RETURNS void
LANGUAGE plpgsql SET search_path = <schema>, pg_temp AS $$
BEGIN
    EXECUTE 'ALTER TABLE ' || of_table || ' ' || (
        SELECT string_agg(format('ALTER COLUMN %I SET STATISTICS 10', attname), ', ')
        FROM pg_attribute WHERE attrelid = of_table AND attnum > 0 AND NOT attisdropped);
END $$
"""
_EACH = """
SELECT take_small_samples(c.oid) FROM pg_class c
WHERE c.oid = ANY (CAST(:tables AS regclass[]))
    OR c.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'audit_event'::regclass)
"""
# As in revision 0011, but for the sample.
_MAKE = """
CREATE OR REPLACE FUNCTION make_audit_partitions(
    weeks integer, OUT made integer, OUT strays boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = <schema>, pg_temp AS $$
DECLARE
    week constant bigint := 604800000;
    since bigint := floor(extract(epoch FROM now()) * 1000);
    until bigint;
    name text;
BEGIN
    IF weeks NOT BETWEEN 0 AND 12 THEN
        RAISE EXCEPTION 'between 0 and 12 weeks ahead';
    END IF;
    PERFORM pg_advisory_xact_lock(280603412820);
    made := 0;
    since := since - (since - 345600000) % week;
    FOR ahead IN 0..weeks LOOP
        until := since + week;
        IF NOT EXISTS (
            SELECT FROM audit_partition WHERE coalesce(begins, 0) < until AND ends > since
        ) AND NOT EXISTS (
            SELECT FROM audit_event_default WHERE at >= since AND at < until
        ) THEN
            name := 'audit_event_' || to_char(to_timestamp(since / 1000) AT TIME ZONE 'UTC',
                'YYYY_MM_DD');
            EXECUTE format('CREATE TABLE %I (LIKE audit_event INCLUDING DEFAULTS)', name);
            PERFORM take_small_samples(name::regclass);
            EXECUTE format(
                'CREATE TRIGGER audit_event_refuses_truncate BEFORE TRUNCATE ON %I '
                'FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()', name);
            -- Unlike CREATE TABLE … PARTITION OF, this lets others write meanwhile.
            EXECUTE format('ALTER TABLE audit_event ATTACH PARTITION %I FOR VALUES '
                'FROM (%L) TO (%L)', name, since, until);
            made := made + 1;
        END IF;
        since := until;
    END LOOP;
    strays := EXISTS (SELECT FROM audit_event_default);
END $$
"""


def upgrade() -> None:
    """For what is there and what will be made; nobody waits, and the next analysis obeys."""
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    schema = connection.scalar(sa.text("SELECT quote_ident(current_schema())"))
    for statement in (_SAMPLE, _MAKE):
        connection.exec_driver_sql(statement.replace("<schema>", schema).replace("%", "%%"))
    connection.exec_driver_sql("REVOKE ALL ON FUNCTION take_small_samples FROM PUBLIC")
    connection.execute(sa.text(_EACH), {"tables": list(_BUSY)})
