"""Asking a signer about documents that he can see: everything is bound, or nobody is asked."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from remote_signing.errors import AttachmentMismatched, AttachmentUnknown
from remote_signing.rssp import activation
from remote_signing.rssp.attached import Attached
from remote_signing.rssp.attachments import binding, register, vault
from remote_signing.rssp.attachments.binding import Basis

if TYPE_CHECKING:
    from sqlalchemy import Row

    from remote_signing.rssp.activation_model import NewActivation, Requested
    from remote_signing.rssp.attached import Named
    from remote_signing.rssp.deps import Services


def request(services: Services, new: NewActivation) -> Requested:
    """:func:`.activation.request_activation` with the documents that ``new`` names.

    One statement without documents, three and a transaction with them. Errors besides:
    ``AttachmentMismatched`` and ``AttachmentUnknown`` with the public ``position``.
    """
    if not new.named:
        return activation.request_activation(services, new)
    bound = _bound(services, new)
    asked = activation.request_activation(services, replace(new, attached=bound))
    names = {each.position: each.attachment_id for each in bound}
    register.use(services, asked.activation_id, names)
    return asked


def _bound(services: Services, new: NewActivation) -> tuple[Attached, ...]:
    positions = [each.position for each in new.named]
    if len(set(positions)) != len(positions) or not set(positions) <= set(range(len(new.hashes))):
        raise AttachmentMismatched("positions", reason="as many documents as hashes, one for each")
    lifetimes = services.config.lifetimes
    longest = max(lifetimes.activation, lifetimes.decoupled) * 1000
    end = services.now_ms() + longest + register.settings(services).lingering * 1000
    names = sorted({each.attachment_id for each in new.named})
    rows = register.claim(services, new.client_id, names, end)
    return tuple(_bind(services, new, each, rows[each.attachment_id]) for each in new.named)


def _bind(services: Services, new: NewActivation, named: Named, row: Row[Any]) -> Attached:
    try:
        basis = _basis(services, new, named, row)
    except (AttachmentMismatched, AttachmentUnknown) as error:
        error.public["position"] = named.position
        raise
    return Attached(
        position=named.position,
        attachment_id=row.id,
        sha256=row.sha256.hex(),
        size=row.size,
        media_type=row.media_type,
        basis=basis.value,
        pages=row.pages,
        remarks=tuple(json.loads(row.remarks)),
    )


def _basis(services: Services, new: NewActivation, named: Named, row: Row[Any]) -> Basis:
    dtbs_r, digest = new.hashes[named.position], new.hash_algorithm or ""
    if row.dtbs_r is not None:
        # prepareDoc made the hash from this file, with the code that signDoc uses.
        if (row.dtbs_r, row.digest) != (dtbs_r, digest) or named.attributes is not None:
            raise AttachmentMismatched("prepared", reason="the hash is not what prepareDoc made")
        return Basis.PREPARED
    if digest == "sha256" and named.attributes is None and row.sha256 == dtbs_r:
        return Basis.FILE  # the row has it
    place = register.settings(services).folder
    workplace = services.config.documents.folder
    with vault.opened(place, row.id, row.sealing_key, workplace) as path:
        return binding.check(path, digest, dtbs_r, named.attributes)
