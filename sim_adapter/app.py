"""The adapter as an ASGI application: the rssp's API, notifications, and its own work."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from sim_adapter import migrations, problem
from sim_adapter.deps import open_services
from sim_adapter.dispatcher import Dispatcher
from sim_adapter.edge import Edge, Farewell
from sim_adapter.errors import InvalidInput, SimAdapterError
from sim_adapter.figures import Measured
from sim_adapter.routes import (
    health,
    notifications,
    operators,
    profiles,
    registrations,
    transactions,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

    from sim_adapter.config import SimAdapterConfig
    from sim_adapter.deps import Services
    from sim_adapter.figures import Figures


def create_app(
    config: SimAdapterConfig, services: Services | None = None, figures: Figures | None = None
) -> FastAPI:
    """The application of ``config``; ``services`` replaces the outside world in tests."""
    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=_lifespan,
        redirect_slashes=False,
        # Nothing about requests goes where an environment variable says; nor is it asked each time.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.services = services or open_services(config)
    app.state.dispatcher = Dispatcher(app.state.services)
    for module in (transactions, registrations, profiles, operators, notifications, health):
        app.include_router(module.router)
    app.add_exception_handler(SimAdapterError, problem.on_domain_error)
    app.add_exception_handler(HTTPException, problem.on_http_error)
    app.add_exception_handler(RequestValidationError, _on_bad_address)
    app.add_middleware(Edge)
    app.add_middleware(Farewell, drain=app.state.services.drain)
    if figures is not None:
        app.add_middleware(Measured, figures=figures)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    await asyncio.to_thread(migrations.check, services.database)
    app.state.dispatcher.start()
    try:
        yield
    finally:
        services.drain.started = True
        services.bells.close()
        await app.state.dispatcher.stop(services.config.listen.drain)
        await services.close()


async def _on_bad_address(request: Request, _error: Exception) -> Response:
    """A path or query parameter of the wrong shape."""
    return await problem.on_domain_error(request, InvalidInput("path or query"))
