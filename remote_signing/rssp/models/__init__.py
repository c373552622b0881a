"""The tables. SQLAlchemy Core, one shape for SQLite and PostgreSQL.

Times are integer milliseconds since the epoch, UTC. Lists and objects are JSON text. Secrets that
were handed out (:class:`remote_signing.identifiers.Ticket`) are kept as SHA-256 only. Triggers,
which SQLAlchemy does not know, are in ``migrations/`` alone; a test compares both.
"""

from __future__ import annotations

from remote_signing.rssp.models.access import (
    access_token,
    login_session,
    refresh_token,
    service_authorization,
)
from remote_signing.rssp.models.activations import (
    OPEN,
    job_part,
    signature_activation,
    signing_job,
)
from remote_signing.rssp.models.attachments import (
    attachment,
    attachment_use,
)
from remote_signing.rssp.models.foundation import Identifier, metadata
from remote_signing.rssp.models.openid import (
    openid_sign_in,
    openid_subject,
)
from remote_signing.rssp.models.passkeys import (
    passkey,
    signer_notice,
)
from remote_signing.rssp.models.pins import (
    pin_order,
    pin_retirement,
)
from remote_signing.rssp.models.push import (
    push_subscription,
)
from remote_signing.rssp.models.records import (
    audit_event,
    replay,
)
from remote_signing.rssp.models.register import (
    agency,
    certificate_list,
    client_logo,
    credential,
    credential_request,
    issued_certificate,
    oauth_client,
    subscriber,
)
from remote_signing.rssp.models.sign_in import (
    account_code,
    sign_in_challenge,
    sign_in_passkey,
)
from remote_signing.rssp.models.signing_outcomes import (
    signing_outcome,
)
from remote_signing.rssp.models.sims import (
    sim_card,
    sim_transaction,
)
from remote_signing.rssp.models.totp_steps import (
    totp_step,
)
from remote_signing.rssp.models.webhooks import (
    webhook_delivery,
    webhook_endpoint,
    webhook_secret,
)

__all__ = [
    "OPEN",
    "Identifier",
    "access_token",
    "account_code",
    "agency",
    "attachment",
    "attachment_use",
    "audit_event",
    "certificate_list",
    "client_logo",
    "credential",
    "credential_request",
    "issued_certificate",
    "job_part",
    "login_session",
    "metadata",
    "oauth_client",
    "openid_sign_in",
    "openid_subject",
    "passkey",
    "pin_order",
    "pin_retirement",
    "push_subscription",
    "refresh_token",
    "replay",
    "service_authorization",
    "sign_in_challenge",
    "sign_in_passkey",
    "signature_activation",
    "signer_notice",
    "signing_job",
    "signing_outcome",
    "sim_card",
    "sim_transaction",
    "subscriber",
    "totp_step",
    "webhook_delivery",
    "webhook_endpoint",
    "webhook_secret",
]
