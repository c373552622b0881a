"""Under which template a request is counted, where the router does not know it or not exactly.

Who answers without the router, or many methods by one route, writes ``scope[MEASURED_AS]``: one of
its own templates, never a part of what was asked for.
"""

from __future__ import annotations

from typing import Final

MEASURED_AS: Final = "measured_as"
