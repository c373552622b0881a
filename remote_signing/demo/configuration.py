"""The three configuration files of one machine, with two HSM nodes."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from remote_signing.demo.sims import SimPlace
    from remote_signing.demo.state import State
    from remote_signing.sam.softhsm import DevelopmentToken

SERVICE_NAME = "Dịch vụ ký số từ xa (trình diễn)"
POLICY = "1.3.6.1.4.1.55555.1.1"  # of the documentation's example arc, no authority's
_PRACTICES = "http://pki.example.vn/cps"  # RFC 2606; nothing is fetched from there


def write(  # noqa: PLR0913 - three files need six things
    state: State,
    tokens: Sequence[DevelopmentToken],
    registration_key: Mapping[str, str],
    *,
    rssp_port: int,
    consent_port: int,
    database_url: str,
    sims: SimPlace | None = None,
) -> None:
    """``sam.toml``, ``rssp.toml``, ``consent.toml``, with SIMs ``sim.toml``; no secret in them."""
    rssp, consent = f"http://127.0.0.1:{rssp_port}", f"http://127.0.0.1:{consent_port}"
    with_sims = {} if sims is None else {"sim": sims.of_rssp}
    texts = {
        "sam.toml": _sam(state, tokens, registration_key, rssp, sims),
        "rssp.toml": _document(
            service={
                "name": SERVICE_NAME,
                "logo": f"{consent}/static/mark.svg",
                "region": "VN",
                "description": "Ký số từ xa theo CSC API, khóa nằm trong cụm HSM.",
            },
            urls={"issuer": rssp, "consent": consent},
            database={"url": database_url},
            sam={"socket": str(state.socket)},
            listen={"port": rssp_port, "notice": 0},
            **with_sims,
        ),
        "consent.toml": _document(
            public={"url": consent},
            rssp={"url": rssp},
            brand={
                "name": "Ký số từ xa",
                "name_en": "Remote signing",
                "operator": "Dịch vụ trình diễn",
                "operator_en": "Demonstration service",
            },
            listen={"port": consent_port},
        ),
    }
    if sims is not None:
        adapter, operator = sims.of_adapter(f"{rssp}/sim/v1/events")
        texts["sim.toml"] = _document(**adapter) + "[[operators]]\n" + _members(operator)
    for name, text in texts.items():
        (state.config / name).write_text(text, encoding="utf-8")


def _sam(
    state: State,
    tokens: Sequence[DevelopmentToken],
    registration_key: Mapping[str, str],
    rssp: str,
    sims: SimPlace | None,
) -> str:
    top = _members(
        {
            "cluster_file": str(state.ceremony / "cluster.json"),
            "state_folder": str(state.folder / "sam-state"),
            "socket": str(state.socket),
            "allowed_uids": [os.getuid()],
        }
    )
    authority = {
        "policy_oid": POLICY,
        "practice_statement_url": _PRACTICES,
        "crl_url": f"{rssp}/pki/issuing.crl",
        "ocsp_url": f"{rssp}/pki/ocsp",
        "issuer_url": f"{rssp}/pki/issuing.crt",
    }
    parts = [top, _document(registration_keys=registration_key, authority=authority)]
    if sims is not None:
        parts.append(_document(sim=sims.of_sam))
    for token in tokens:
        node = {
            "name": token.label,
            "module": str(token.module),
            "token_label": token.label,
            "pin_file": str(token.pin_file),
            "environment": dict(token.environment),
        }
        parts.append("[[nodes]]\n" + _members(node))
    return "\n".join(parts)


def _document(**tables: Mapping[str, object]) -> str:
    return "\n".join(f"[{name}]\n{_members(table)}" for name, table in tables.items())


def _members(table: Mapping[str, object]) -> str:
    return "".join(f"{json.dumps(name)} = {_value(value)}\n" for name, value in table.items())


def _value(value: object) -> str:
    """TOML's strings, integers and lists of them are written as JSON's; inline tables are not."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {_value(v)}" for k, v in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)
