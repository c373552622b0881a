"""What follows a change of a signature activation is one function (PostgreSQL).

Until here four triggers did it, three of them with a condition. PostgreSQL reads and plans the
condition of a trigger anew in every statement that may fire it; in a function that is done once for
a connection. One for what is new and one for what changes, since each looks at half of it only.

What they do is the same as before (:mod:`.triggers`, revisions 0007, 0012, 0015), so processes of
the release before notice nothing. The credential comes first, then the code: a change of factors
locks them in this order, too, and the two never cross.

Revises: 0016.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

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
_COPY = """INSERT INTO audit_event
            (at, kind, actor, client_id, subscriber_id,
            credential_id, activation_id, sequence, state, detail)
        VALUES
            (NEW.event_at, NEW.event_kind, NEW.event_actor, NEW.client_id, NEW.subscriber_id,
            NEW.credential_id, NEW.id, NEW.event_seq, NEW.state, NEW.event_detail);"""
_BEFORE = (
    *(
        f"DROP TRIGGER signature_activation_{name} ON signature_activation"
        for name in ("followed", "told", "pushed", "used_code")
    ),
    *(
        f"DROP FUNCTION {name}()"
        for name in (
            *("follow_signature_activation", "tell_of_signature_activation"),
            *("push_signature_activation", "use_totp_step"),
        )
    ),
)
_AFTER = (
    """
    CREATE FUNCTION begin_signature_activation() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.state <> 'PENDING' OR NEW.event_seq <> 1 THEN
            RAISE EXCEPTION 'activation step not allowed';
        END IF;
        IF NEW.attempts <> 0 THEN
            UPDATE credential SET failed_attempts = greatest(0, failed_attempts + NEW.attempts)
            WHERE id = NEW.credential_id AND (NEW.attempts < 0 OR failed_attempts < attempt_limit);
            IF NOT FOUND THEN
                RAISE EXCEPTION 'credential locked';
            END IF;
        END IF;
        <copy>
        -- His browsers are told, who was told a moment ago a little later; in one order, so that
        -- two requests for one signer wait for one another and never cross.
        IF NEW.channel = 'decoupled' THEN
            UPDATE push_subscription SET wanted = wanted + 1, due_at = coalesce(
                due_at, CASE WHEN not_before > NEW.created_at THEN not_before
                    ELSE NEW.created_at END)
            WHERE id IN (
                SELECT id FROM push_subscription WHERE subscriber_id = NEW.subscriber_id
                ORDER BY id FOR UPDATE);
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION follow_signature_activation() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE charge constant integer := NEW.attempts - OLD.attempts;
    BEGIN
        IF NEW.event_seq <> OLD.event_seq + 1 THEN
            RAISE EXCEPTION 'activation changed without an event';
        END IF;
        IF NEW.state <> OLD.state THEN
            IF OLD.state || '>' || NEW.state NOT IN (<allowed>) THEN
                RAISE EXCEPTION 'activation step not allowed';
            END IF;
            IF OLD.state = 'PENDING' AND NEW.state = 'AUTHORIZED' THEN
                UPDATE credential SET failed_attempts = 0 WHERE id = NEW.credential_id;
            END IF;
            -- The end of the question, or the withdrawal of an answer before it was used.
            IF NEW.channel = 'decoupled' AND (OLD.state = 'PENDING' OR NEW.state = 'REVOKED') THEN
                INSERT INTO webhook_delivery
                    (id, client_id, activation_id, outcome, denial, happened_at, state, due_at,
                    tries)
                SELECT NEW.id || '_' || NEW.event_seq, NEW.client_id, NEW.id, NEW.state, NEW.denial,
                    NEW.event_at, 'WAITING', NEW.event_at, 0
                FROM webhook_endpoint WHERE client_id = NEW.client_id;
            END IF;
        END IF;
        IF charge <> 0 THEN
            UPDATE credential SET failed_attempts = greatest(0, failed_attempts + charge)
            WHERE id = NEW.credential_id AND (charge < 0 OR failed_attempts < attempt_limit);
            IF NOT FOUND THEN
                RAISE EXCEPTION 'credential locked';
            END IF;
        END IF;
        IF NEW.totp_factor_id IS NOT NULL AND (NEW.totp_factor_id, NEW.totp_step)
            IS DISTINCT FROM (OLD.totp_factor_id, OLD.totp_step)
        THEN
            INSERT INTO totp_step (step, factor_id) VALUES (NEW.totp_step, NEW.totp_factor_id);
        END IF;
        <copy>
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER signature_activation_begun AFTER INSERT ON signature_activation
    FOR EACH ROW EXECUTE FUNCTION begin_signature_activation()
    """,
    """
    CREATE TRIGGER signature_activation_followed AFTER UPDATE ON signature_activation
    FOR EACH ROW EXECUTE FUNCTION follow_signature_activation()
    """,
)


def upgrade() -> None:
    """Take the old ones away and make the two, while nobody writes."""
    if op.get_bind().dialect.name == "postgresql":
        for statement in (*_BEFORE, *_AFTER):
            filled = statement.replace("<allowed>", _ALLOWED).replace("<copy>", _COPY)
            op.execute(sa.text(filled.replace(":", r"\:")))  # PL/pgSQL's := is no parameter
