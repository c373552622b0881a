"""The triggers of revision 0001, for both databases. A later revision brings its own text.

They hold what must be true whatever the program does:

- a line of ``audit_event`` is never changed or removed;
- a signature activation changes only along the state machine, and only together with an event,
  which is copied to ``audit_event`` in the same statement: no record, no change;
- an access token is on record when it is issued and when it is revoked;
- a try with PIN and code is charged to the credential before it is checked, and refused at the
  credential's limit; a success clears the count.
"""

from __future__ import annotations

_STEPS = (
    ("PENDING", "AUTHORIZED"),
    ("PENDING", "DENIED"),
    ("PENDING", "EXPIRED"),
    ("PENDING", "REVOKED"),
    ("AUTHORIZED", "SIGNING"),
    ("AUTHORIZED", "EXPIRED"),
    ("AUTHORIZED", "REVOKED"),
    ("SIGNING", "AUTHORIZED"),
    ("SIGNING", "SIGNED"),
    ("SIGNING", "FAILED"),
)
_ALLOWED = ", ".join(f"'{before}>{after}'" for before, after in _STEPS)
_COPY = """
INSERT INTO audit_event
    (at, kind, actor, client_id, subscriber_id,
    credential_id, activation_id, sequence, state, detail)
VALUES
    (NEW.event_at, NEW.event_kind, NEW.event_actor, NEW.client_id, NEW.subscriber_id,
    NEW.credential_id, NEW.id, NEW.event_seq, NEW.state, NEW.event_detail);
"""
# The detail is canonical JSON; ids need no escape.
_ACCESS = """
INSERT INTO audit_event (at, kind, actor, client_id, subscriber_id, detail)
VALUES (NEW.<time>, '<kind>', 'client', NEW.client_id, NEW.subscriber_id,
    '{' || coalesce('"family_id":"' || NEW.family_id || '",', '')
    || '"token_id":"' || NEW.id || '"}');
"""
_ISSUED = _ACCESS.replace("<time>", "created_at").replace("<kind>", "token.issued")
_ENDED = _ACCESS.replace("<time>", "revoked_at").replace("<kind>", "token.ended")
_MARKS = {"<allowed>": _ALLOWED, "<copy>": _COPY, "<issued>": _ISSUED, "<ended>": _ENDED}

_SQLITE = (
    """
    CREATE TRIGGER audit_event_refuses_update BEFORE UPDATE ON audit_event
    BEGIN SELECT RAISE(ABORT, 'audit_event is insert-only'); END
    """,
    """
    CREATE TRIGGER audit_event_refuses_delete BEFORE DELETE ON audit_event
    BEGIN SELECT RAISE(ABORT, 'audit_event is insert-only'); END
    """,
    # INSERT OR REPLACE removes the old row without its DELETE trigger.
    """
    CREATE TRIGGER audit_event_refuses_replace BEFORE INSERT ON audit_event
    WHEN EXISTS (SELECT 1 FROM audit_event WHERE number = NEW.number)
    BEGIN SELECT RAISE(ABORT, 'audit_event is insert-only'); END
    """,
    """
    CREATE TRIGGER signature_activation_starts BEFORE INSERT ON signature_activation
    WHEN NEW.state <> 'PENDING' OR NEW.event_seq <> 1
    BEGIN SELECT RAISE(ABORT, 'activation step not allowed'); END
    """,
    """
    CREATE TRIGGER signature_activation_has_event BEFORE UPDATE ON signature_activation
    WHEN NEW.event_seq <> OLD.event_seq + 1
    BEGIN SELECT RAISE(ABORT, 'activation changed without an event'); END
    """,
    """
    CREATE TRIGGER signature_activation_steps BEFORE UPDATE OF state ON signature_activation
    WHEN NEW.state <> OLD.state AND OLD.state || '>' || NEW.state NOT IN (<allowed>)
    BEGIN SELECT RAISE(ABORT, 'activation step not allowed'); END
    """,
    """
    CREATE TRIGGER signature_activation_stays BEFORE DELETE ON signature_activation
    WHEN OLD.state IN ('PENDING', 'AUTHORIZED', 'SIGNING')
    BEGIN SELECT RAISE(ABORT, 'activation step not allowed'); END
    """,
    """
    CREATE TRIGGER signature_activation_inserted AFTER INSERT ON signature_activation
    BEGIN
        SELECT RAISE(ABORT, 'credential locked') FROM credential
        WHERE id = NEW.credential_id AND NEW.attempts > 0 AND failed_attempts >= attempt_limit;
        UPDATE credential SET failed_attempts = failed_attempts + NEW.attempts
        WHERE id = NEW.credential_id AND NEW.attempts > 0;
        <copy>
    END
    """,
    """
    CREATE TRIGGER signature_activation_charges AFTER UPDATE OF attempts ON signature_activation
    WHEN NEW.attempts <> OLD.attempts
    BEGIN
        SELECT RAISE(ABORT, 'credential locked') FROM credential
        WHERE id = NEW.credential_id AND NEW.attempts > OLD.attempts
            AND failed_attempts >= attempt_limit;
        UPDATE credential
        SET failed_attempts = max(0, failed_attempts + NEW.attempts - OLD.attempts)
        WHERE id = NEW.credential_id;
    END
    """,
    """
    CREATE TRIGGER signature_activation_clears AFTER UPDATE OF state ON signature_activation
    WHEN OLD.state = 'PENDING' AND NEW.state = 'AUTHORIZED'
    BEGIN UPDATE credential SET failed_attempts = 0 WHERE id = NEW.credential_id; END
    """,
    """
    CREATE TRIGGER signature_activation_updated AFTER UPDATE ON signature_activation
    BEGIN <copy> END
    """,
    """
    CREATE TRIGGER access_token_issued AFTER INSERT ON access_token
    BEGIN <issued> END
    """,
    """
    CREATE TRIGGER access_token_ended AFTER UPDATE OF revoked_at ON access_token
    WHEN OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL
    BEGIN <ended> END
    """,
)

_POSTGRESQL = (
    """
    CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'audit_event is insert-only'; END $$
    """,
    """
    CREATE TRIGGER audit_event_refuses_change BEFORE UPDATE OR DELETE ON audit_event
    FOR EACH ROW EXECUTE FUNCTION refuse_audit_change()
    """,
    """
    CREATE TRIGGER audit_event_refuses_truncate BEFORE TRUNCATE ON audit_event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()
    """,
    """
    CREATE FUNCTION follow_signature_activation() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE charge integer := NEW.attempts;
    BEGIN
        IF TG_OP = 'INSERT' THEN
            IF NEW.state <> 'PENDING' OR NEW.event_seq <> 1 THEN
                RAISE EXCEPTION 'activation step not allowed';
            END IF;
        ELSE
            charge := NEW.attempts - OLD.attempts;
            IF NEW.event_seq <> OLD.event_seq + 1 THEN
                RAISE EXCEPTION 'activation changed without an event';
            END IF;
            IF NEW.state <> OLD.state AND OLD.state || '>' || NEW.state NOT IN (<allowed>) THEN
                RAISE EXCEPTION 'activation step not allowed';
            END IF;
            IF OLD.state = 'PENDING' AND NEW.state = 'AUTHORIZED' THEN
                UPDATE credential SET failed_attempts = 0 WHERE id = NEW.credential_id;
            END IF;
        END IF;
        IF charge <> 0 THEN
            UPDATE credential SET failed_attempts = greatest(0, failed_attempts + charge)
            WHERE id = NEW.credential_id AND (charge < 0 OR failed_attempts < attempt_limit);
            IF NOT FOUND THEN
                RAISE EXCEPTION 'credential locked';
            END IF;
        END IF;
        <copy>
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER signature_activation_followed
    AFTER INSERT OR UPDATE ON signature_activation
    FOR EACH ROW EXECUTE FUNCTION follow_signature_activation()
    """,
    """
    CREATE FUNCTION follow_access_token() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'INSERT' THEN
            <issued>
        ELSIF OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL THEN
            <ended>
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER access_token_followed AFTER INSERT OR UPDATE OF revoked_at ON access_token
    FOR EACH ROW EXECUTE FUNCTION follow_access_token()
    """,
    """
    CREATE FUNCTION keep_open_activation() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF OLD.state IN ('PENDING', 'AUTHORIZED', 'SIGNING') THEN
            RAISE EXCEPTION 'activation step not allowed';
        END IF;
        RETURN OLD;
    END $$
    """,
    """
    CREATE TRIGGER signature_activation_stays BEFORE DELETE ON signature_activation
    FOR EACH ROW EXECUTE FUNCTION keep_open_activation()
    """,
)


def statements(dialect: str) -> tuple[str, ...]:
    """The statements to run, in order, for ``sqlite`` or ``postgresql``."""
    chosen = _POSTGRESQL if dialect == "postgresql" else _SQLITE
    return tuple(_filled(statement) for statement in chosen)


def _filled(statement: str) -> str:
    for mark, text in _MARKS.items():
        statement = statement.replace(mark, text)
    return statement
