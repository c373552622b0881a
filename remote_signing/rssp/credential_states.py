"""What state a credential is in; which act leads where is a table in docs/operations.md.

``credential.state`` is one word, and a key is used only while it is ``enabled``. Three words are
facts of their own: ``destroyed``, ``withdrawn`` and ``disabled`` are written by the act that orders
them. The others follow from what is on record beside them: ``revoked`` and ``suspended`` from the
certificates, ``frozen`` from the column ``frozen``, ``enabled`` from none of these. So no act ends
what another has ordered: each changes its own fact, and :func:`derive` finds the word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from sqlalchemy import bindparam, case, exists, or_, select, update

from remote_signing.rssp.models import credential, issued_certificate

if TYPE_CHECKING:
    from sqlalchemy import Connection, Exists

GONE: Final = ("destroyed", "withdrawn")
"""States in which a credential is to nobody's use: for ever, or until the authority decides."""
FROZEN: Final = "frozen"
"""The state in which its owner put it: no use until the authority has seen who he is."""

_ROW, _CERTIFICATE = credential.c, issued_certificate.c


def derive(connection: Connection, credential_id: str) -> str:
    """Write the state that follows from a credential's facts, and give it. One statement.

    In the transaction of the change, and after a statement that has changed the credential's row:
    that makes others wait who change its facts, and only a statement after it sees what they did.
    """
    found = connection.execute(_DERIVE, {"the_credential": credential_id})
    return cast("str", found.scalar_one())


def _has_certificate(state: str) -> Exists:
    query = select(_CERTIFICATE.serial).where(
        _CERTIFICATE.credential_id == _ROW.id, _CERTIFICATE.state == state
    )
    return exists(query.correlate(credential))


_DERIVE = (
    update(credential)
    .where(_ROW.id == bindparam("the_credential", type_=_ROW.id.type))
    .values(
        state=case(
            (_ROW.state.in_(GONE), _ROW.state),
            (_has_certificate("revoked"), "revoked"),
            (_ROW.state == "disabled", _ROW.state),
            # The release before froze by the word alone.
            (or_(_ROW.frozen, _ROW.state == FROZEN), FROZEN),
            (_has_certificate("suspended"), "suspended"),
            else_="enabled",
        )
    )
    .returning(_ROW.state)
)
