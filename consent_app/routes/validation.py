"""Checking a signed document: open to everybody, nothing is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the return annotation

from consent_app import forms
from consent_app.faults import BodyTooLarge, DocumentRefused, Fault, RsspAway
from consent_app.visit import Visit

if TYPE_CHECKING:
    from consent_app.report import Report

router = APIRouter()

_PATH = "/validate"


@router.get(_PATH)
async def show(request: Request) -> Response:
    """The form."""
    return _page(Visit(request))


@router.post(_PATH)
async def validate(request: Request) -> Response:
    """The report, or the form again with words about what went wrong.

    No token: the form changes nothing and tells nobody anything about the visitor. The origin is
    looked at all the same, so that other sites cannot make us work through their visitors.
    """
    visit = Visit(request)
    forms.check_origin(request, visit.site.origin)
    headers = request.headers
    try:
        report = await visit.site.validator.report(
            request.stream(), headers.get("content-type", ""), headers.get("content-length", "")
        )
    except DocumentRefused as refused:
        return _page(visit, refused, reason=refused.reason)
    except BodyTooLarge as fault:
        return _page(visit, fault, reason="too_large")
    except RsspAway as fault:
        return _page(visit, fault, reason="unavailable")
    return _report(visit, report)


def _page(visit: Visit, fault: Fault | None = None, *, reason: str = "") -> Response:
    status = 200 if fault is None else fault.status
    return visit.page("validate.html", status=status, reason=reason, has_script=True)


def _report(visit: Visit, report: Report) -> Response:
    return visit.page("report.html", report=report)
