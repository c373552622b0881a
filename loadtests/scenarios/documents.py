"""A PDF that the service signs: prepareDoc, consent to its hash, signDoc at level B-T."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

from loadtests import official_browser as browser
from loadtests.oauth_flow import token_for
from loadtests.place import SIGN_ALGO, Needs, Place, Scenario

if TYPE_CHECKING:
    from loadtests.people import Official
    from loadtests.recorder import Steps

_PAGE = b"BT /F1 12 Tf 72 760 Td (Quyet dinh so %s) Tj ET"


def ceremony(place: Place, official: Official, steps: Steps) -> int:
    """One document of one page."""
    portal, own = place.portal, place.portal.own_token(steps)
    order = {
        "credentialID": official.credential_id,
        "documents": [
            {
                "document": base64.b64encode(pdf(os.urandom(8).hex())).decode("ascii"),
                "signature_format": "P",
                "conformance_level": "Ades-B-T",
                "signAlgo": SIGN_ALGO[place.algorithm],
            }
        ],
    }
    told = portal.call(steps, "prepare_doc", "signatures/prepareDoc", order, own)
    token = token_for(place, official, steps, told["hashes"], browser.approve)
    order["claimedTime"] = told["claimedTime"]
    answer = portal.call(steps, "sign_doc", "signatures/signDoc", order, token)
    steps.signed_by(token.value)
    return len(answer["DocumentWithSignature"])


def pdf(number: str) -> bytes:
    """One page that says ``number``."""
    content = _PAGE % number.encode("ascii")
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/MediaBox[0 0 595 842]/Count 1/Kids[3 0 R]>>",
        b"<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>\nstream\n%s\nendstream" % (len(content), content),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    text, places = b"%PDF-1.7\n", []
    for at, each in enumerate(objects, 1):
        places.append(len(text))
        text += b"%d 0 obj\n%s\nendobj\n" % (at, each)
    start = len(text)
    text += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    text += b"".join(b"%010d 00000 n \n" % at for at in places)
    trailer = b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n"
    return text + trailer % (len(objects) + 1, start)


SCENARIO = Scenario(
    "documents", "prepareDoc, consent to the hash, signDoc PAdES B-T", Needs(), ceremony
)
