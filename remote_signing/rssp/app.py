"""The rssp as an ASGI application, and as a process that drains before it ends."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import signal
import sys
import threading
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from fastapi import FastAPI

from remote_signing import heap
from remote_signing.rssp import config as configuration
from remote_signing.rssp import (
    consent,
    consent_account,
    consent_attachments,
    consent_requests,
    health,
    logo_routes,
    logs,
    migrations,
    openid_routes,
    passkey_routes,
    phone_routes,
    pin_routes,
    pki,
    sign_in_routes,
    sim_routes,
    validate,
)
from remote_signing.rssp.certificate_status import Status
from remote_signing.rssp.csc import dispatch
from remote_signing.rssp.csc.v1 import routes as csc_v1
from remote_signing.rssp.csc.v2 import attach, polling
from remote_signing.rssp.csc.v2 import routes as csc_v2
from remote_signing.rssp.deps import open_services
from remote_signing.rssp.documents.signing import Desk
from remote_signing.rssp.edge import middleware
from remote_signing.rssp.edge.express import Express
from remote_signing.rssp.figures import CountedLog, Figures, Measured
from remote_signing.rssp.health import Health
from remote_signing.rssp.housekeeping import Housekeeping
from remote_signing.rssp.management import watched
from remote_signing.rssp.oauth import routes as oauth
from remote_signing.rssp.openapi import routes as openapi
from remote_signing.rssp.push_worker import PushWorker
from remote_signing.rssp.signing_worker import SigningWorker
from remote_signing.rssp.validation.desk import ValidationDesk
from remote_signing.rssp.webhook_worker import WebhookWorker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import FrameType

    from remote_signing.rssp.config import ListenConfig, RsspConfig
    from remote_signing.rssp.deps import Services

CONFIG_VARIABLE = "REMOTE_SIGNING_RSSP_CONFIG"  # for the workers that uvicorn starts itself
_KEEP_ALIVE = 75  # seconds; longer than who asks keeps an idle connection, so that he closes first
_log = logging.getLogger(__name__)


def create_app(
    config: RsspConfig, services: Services | None = None, figures: Figures | None = None
) -> FastAPI:
    """The application of ``config``. ``services`` replaces the outside world in tests."""
    services = services or open_services(config)
    app = FastAPI(
        title=config.service.name,
        lifespan=_lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        # A redirect would name the host that the caller named, and http behind the proxy.
        redirect_slashes=False,
        # Nothing about requests goes where an environment variable says; nor is it asked each time.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.services = services
    app.state.health = Health(services)
    app.state.status = Status(services)
    app.state.desk = Desk(services, app.state.status)
    app.state.validation = ValidationDesk(services, app.state.status)
    # v1 has the authorization server's addresses below its own, so these come first.
    apis = (oauth.router, csc_v1.router, csc_v2.router)
    # `sessions/current` comes before `sessions/{name}`.
    desk = (consent_requests, consent_account, consent, sign_in_routes, openid_routes)
    documents = (attach, consent_attachments)
    factors = (passkey_routes, pin_routes, sim_routes, logo_routes, phone_routes)
    others = (pki, validate, health, openapi)
    for router in (*apis, *(module.router for module in (*desk, *documents, *factors, *others))):
        app.include_router(router)
    signing = dispatch.express(csc_v2.VERSION, "signatures/signHash")
    app.add_middleware(Express, table={**oauth.EXPRESS, **consent.EXPRESS, **signing})
    middleware.install(app, is_leaving=lambda: services.drain.started)
    app.state.figures = figures
    if figures is not None:
        app.add_middleware(Measured, figures=figures)
    return app


def from_environment() -> FastAPI:
    """The application of a worker process: its configuration file is named in the environment."""
    logs.configure()
    config = configuration.load(Path(os.environ[CONFIG_VARIABLE]))
    if config.management is None:
        return create_app(config)
    figures = Figures()
    logging.getLogger().addHandler(CountedLog(figures))
    return create_app(config, figures=figures)


def serve(path: Path) -> None:
    """Run the configuration in ``path`` until SIGTERM; ``ConfigInvalid`` before anything runs.

    The exit status is 0: being stopped is not a failure.
    """
    config = configuration.load(path)
    logs.configure()
    # uvicorn raises the signal again for whoever handled it before, when everything is drained.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    os.environ[CONFIG_VARIABLE] = str(path.resolve())
    with watched(config):
        _run(config.listen)


def _run(listen: ListenConfig) -> None:
    uvicorn.run(
        "remote_signing.rssp.app:from_environment",
        factory=True,
        host=listen.host,
        port=listen.port,
        workers=listen.workers,
        loop="uvloop",
        http="httptools",
        lifespan="on",
        # Addresses are read from headers of a trusted proxy only, where they are needed.
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=listen.drain,
    )


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    heap.share()
    services: Services = app.state.services
    await asyncio.to_thread(migrations.check, services.database)
    webhooks, pushes = WebhookWorker(services), PushWorker(services)
    housekeeping = Housekeeping(services)
    housekeeping.start()
    make = functools.partial(polling.make, desk=app.state.desk)
    signing = SigningWorker(services, make)
    signing.start()
    webhooks.start()
    pushes.start()
    _give_notice(services)
    heap.settle()
    figures: Figures | None = app.state.figures
    counting = nullcontext() if figures is None else figures.sampled(services.database)
    try:
        async with counting:
            yield
    finally:
        services.drain.started = True
        await asyncio.to_thread(signing.stop)
        await asyncio.to_thread(webhooks.stop)
        await asyncio.to_thread(pushes.stop)
        await asyncio.to_thread(housekeeping.stop)
        await asyncio.to_thread(app.state.desk.close)
        await asyncio.to_thread(app.state.validation.close)
        services.close()


def _give_notice(services: Services) -> None:
    """On SIGTERM say "not ready" first and stop a little later, so that nobody runs into a wall.

    uvicorn has set its handler before this; it gets the signal after the notice.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()
    stop: Any = signal.getsignal(signal.SIGTERM)
    notice = services.config.listen.notice

    def begin(number: int, frame: FrameType | None) -> None:
        again = services.drain.started
        services.drain.started = True
        if callable(stop):
            loop.call_soon_threadsafe(loop.call_later, 0 if again else notice, stop, number, frame)

    signal.signal(signal.SIGTERM, begin)
