"""The audit table in weeks (PostgreSQL); an index to questions to SIMs that may be removed.

What was written before stays where it is and becomes the first partition. From then on a week is a
table, made ahead by ``make_audit_partitions``: the service's role calls it and may do no more than
that, for the tables belong to the schema's owner. Rows that no week takes go to
``audit_event_default``, so that a missing week stops nobody (docs/decisions).

Revises: 0010.
"""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_WEEK = 604_800_000  # ms
_MONDAY = 345_600_000  # 1970-01-05T00:00Z

_OVER = sa.text("state NOT IN ('WAITING', 'APPROVED')")

# The name of a row is its number alone, as before: numbers come from one sequence, and the
# service's role cannot write one of its choice. A key of a partitioned table must name its time.
_DIVIDE = (
    "DROP TRIGGER audit_event_refuses_change ON audit_event",
    "ALTER TABLE audit_event RENAME TO audit_event_before",
    "ALTER TABLE audit_event_before DROP CONSTRAINT pk_audit_event",
    """
    ALTER TABLE audit_event_before
    ADD CONSTRAINT pk_audit_event_before PRIMARY KEY (number, at)
    """,
    "ALTER INDEX ix_audit_event_activation_id RENAME TO ix_audit_event_before_activation_id",
    "ALTER INDEX ix_audit_event_subscriber_id RENAME TO ix_audit_event_before_subscriber_id",
    "ALTER INDEX ix_audit_event_at RENAME TO ix_audit_event_before_at",
    "CREATE TABLE audit_event (LIKE audit_event_before INCLUDING DEFAULTS) PARTITION BY RANGE (at)",
    "ALTER TABLE audit_event ADD CONSTRAINT pk_audit_event PRIMARY KEY (number, at)",
    "CREATE INDEX ix_audit_event_activation_id ON audit_event (activation_id, number)",
    "CREATE INDEX ix_audit_event_subscriber_id ON audit_event (subscriber_id, number)",
    "CREATE INDEX ix_audit_event_at ON audit_event (at, number)",
    "ALTER SEQUENCE audit_event_number_seq OWNED BY audit_event.number",
    "CREATE TABLE audit_event_default PARTITION OF audit_event DEFAULT",
    """
    CREATE TRIGGER audit_event_refuses_change BEFORE UPDATE OR DELETE ON audit_event
    FOR EACH ROW EXECUTE FUNCTION refuse_audit_change()
    """,
    *(
        f"""
        CREATE TRIGGER audit_event_refuses_truncate BEFORE TRUNCATE ON {table}
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()
        """
        for table in ("audit_event", "audit_event_default")
    ),
)
# Who could write the old table may write the new one, but not a number of his own choice.
_HAND_OVER = """
DO $$ DECLARE role text; BEGIN
    FOR role IN
        SELECT DISTINCT quote_ident(pg_get_userbyid(grantee))
        FROM pg_class, aclexplode(relacl)
        WHERE pg_class.oid = '<schema>.audit_event_before'::regclass
            AND grantee NOT IN (0, relowner)
    LOOP
        EXECUTE 'GRANT SELECT, INSERT (at, kind, actor, client_id, subscriber_id, credential_id, '
            'activation_id, sequence, state, detail) ON audit_event TO ' || role;
        EXECUTE 'GRANT SELECT ON audit_partition TO ' || role;
        EXECUTE 'GRANT EXECUTE ON FUNCTION make_audit_partitions TO ' || role;
        EXECUTE 'REVOKE ALL ON audit_event_before FROM ' || role;
    END LOOP;
END $$
"""
_VIEW = r"""
CREATE VIEW audit_partition AS
SELECT c.relname AS name, bounds.begins::bigint, bounds.ends::bigint,
    pg_total_relation_size(c.oid) AS bytes
FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid
CROSS JOIN LATERAL (
    SELECT substring(told FROM 'FROM \(''(\d+)''\)'), substring(told FROM 'TO \(''(\d+)''\)')
    FROM pg_get_expr(c.relpartbound, c.oid) AS told
) AS bounds (begins, ends)
WHERE i.inhparent = '<schema>.audit_event'::regclass
"""
_MAKE = """
CREATE FUNCTION make_audit_partitions(weeks integer, OUT made integer, OUT strays boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = <schema>, pg_temp AS $$
DECLARE
    week constant bigint := <week>;
    since bigint := floor(extract(epoch FROM now()) * 1000);
    until bigint;
    name text;
BEGIN
    IF weeks NOT BETWEEN 0 AND 12 THEN
        RAISE EXCEPTION 'between 0 and 12 weeks ahead';
    END IF;
    PERFORM pg_advisory_xact_lock(<lock>);
    made := 0;
    since := since - (since - <monday>) % week;
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
# Rows that come and go: cleaned when some thousands have gone, not when a fifth of the table has.
_BUSY = ("replay", "access_token", "login_session", "signature_activation", "webhook_delivery")
_CLEAN = """
ALTER TABLE <table> SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 5000,
    autovacuum_analyze_scale_factor = 0.02)
"""


def upgrade() -> None:
    """Divide the audit table, index what housekeeping looks for."""
    op.create_index(
        "ix_sim_transaction_over",
        "sim_transaction",
        ["id"],
        sqlite_where=_OVER,
        postgresql_where=_OVER,
    )
    if op.get_bind().dialect.name == "postgresql":
        _divide_audit_event()
        for table in _BUSY:
            op.execute(_CLEAN.replace("<table>", table))


def _divide_audit_event() -> None:
    connection = op.get_bind()
    schema = connection.scalar(sa.text("SELECT quote_ident(current_schema())"))
    first = _first_week(connection.scalar(sa.text("SELECT max(at) FROM audit_event")))
    for statement in _DIVIDE:
        op.execute(statement)
    op.execute(
        "ALTER TABLE audit_event ATTACH PARTITION audit_event_before"
        f" FOR VALUES FROM (MINVALUE) TO ({first})"
    )
    marks = {
        "<schema>": schema,
        "<week>": str(_WEEK),
        "<monday>": str(_MONDAY),
        "<lock>": str(0x4155_4449_54),
    }
    for statement in (_VIEW, _MAKE, _HAND_OVER):
        connection.exec_driver_sql(_filled(statement, marks))
    connection.exec_driver_sql("REVOKE ALL ON FUNCTION make_audit_partitions FROM PUBLIC")
    connection.exec_driver_sql("SELECT make_audit_partitions(4)")


def _first_week(youngest: int | None) -> int:
    """Where the first week of its own begins: what is written already stays with what was there."""
    now = time.time_ns() // 1_000_000
    this_week = now - (now - _MONDAY) % _WEEK
    if youngest is None:
        return this_week
    return max(this_week, youngest - (youngest - _MONDAY) % _WEEK + _WEEK)


def _filled(statement: str, marks: dict[str, str]) -> str:
    for mark, text in marks.items():
        statement = statement.replace(mark, text)
    return statement.replace("%", "%%")
