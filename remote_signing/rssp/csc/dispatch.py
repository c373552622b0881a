"""How a request gets to its method, for every version of the CSC API.

Header form (400), then the token (401), then the parameters: a stranger learns nothing about the
latter. The body is read before the token is looked up (one is asynchronous, the other a statement),
so a mistake found in it is kept until the token has proved good.

A version is its methods and its spelling; what a method does is written once, in ``v2``, and v1 is
another wire around it. A further method is one more entry in ``METHODS`` of a version's routes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from fastapi import APIRouter

from remote_signing.errors import Refusal, RemoteSigningError
from remote_signing.rssp import audit, bearer
from remote_signing.rssp.csc.errors import (
    CscError,
    method_not_allowed,
    not_implemented,
    refuse,
    translate,
)
from remote_signing.rssp.csc.v2.parameters import EXACT, Parameters, Spelling
from remote_signing.rssp.csc.wire import answer
from remote_signing.rssp.deps import services
from remote_signing.rssp.edge.body import read_object
from remote_signing.rssp.edge.measured import MEASURED_AS
from remote_signing.rssp.edge.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from remote_signing.rssp.bearer import Caller, Presented
    from remote_signing.rssp.config import RsspConfig
    from remote_signing.rssp.csc.v2.credentials import Outcome
    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.edge.express import Handler, Table
    from remote_signing.strict_json import JsonValue

Wanted = TypeVar("Wanted")
Reader: TypeAlias = "Callable[[Parameters], Wanted]"
Work: TypeAlias = "Callable[[Services, Caller, Wanted], Outcome]"
Give: TypeAlias = "Callable[[Services, Outcome], Response]"
BearerWork: TypeAlias = "Callable[[Services, Presented, Wanted | CscError], Outcome]"
Method: TypeAlias = "Callable[[Call], Awaitable[Response]]"
Condition: TypeAlias = "Callable[[RsspConfig], bool]"

_HTTP_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


@dataclass(frozen=True, slots=True)
class Version:
    """One version of the API.

    ``spelling`` is what it takes outside strict mode and ``exact`` in it. ``conditions`` name the
    methods that only some installations offer. ``gets`` may be asked for with GET outside strict
    mode. ``retold`` turns an error of the core into this version's.
    """

    prefix: str
    methods: Mapping[str, Method]
    spelling: Spelling = field(default_factory=Spelling)
    exact: Spelling = EXACT
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    gets: frozenset[str] = frozenset()
    retold: Callable[[str, CscError], CscError] = lambda _method, error: error

    def served(self, config: RsspConfig) -> list[str]:
        """The methods that an installation offers: what ``info`` names."""
        return [name for name in self.methods if self.offers(config, name)]

    def offers(self, config: RsspConfig, name: str) -> bool:
        """Whether a method is served."""
        condition = self.conditions.get(name)
        return name in self.methods and (condition is None or condition(config))


@dataclass(frozen=True, slots=True)
class Call:
    """A request for a method that is served."""

    request: Request
    version: Version
    name: str  # of the method

    @property
    def services(self) -> Services:
        """Of the application."""
        return services(self.request)

    async def parameters(self) -> Parameters:
        """The members of the body. ``InvalidInput`` when it is no good JSON object."""
        return self.named(await read_object(self.request))

    def named(self, members: dict[str, JsonValue]) -> Parameters:
        """Members that were read already, in the version's spelling."""
        strict = self.services.config.csc.strict
        return Parameters(members, self.version.exact if strict else self.version.spelling)

    async def read(self, reader: Reader[Wanted]) -> Wanted | CscError:
        """What is wanted, or the mistake in it, to be told when the caller has proved good."""
        try:
            return reader(await self.parameters())
        except CscError as error:
            return error
        except RemoteSigningError as error:
            return translate("", error)


def _given(_services: Services, outcome: Outcome) -> Response:
    status, members = outcome
    return answer(members, status)


def for_caller(read: Reader[Wanted], work: Work[Wanted], give: Give = _given) -> Method:
    """The method that does ``work`` for whom a token names, and answers as ``give`` puts it."""

    async def method(call: Call) -> Response:
        presented = bearer.read(call.services, call.request)
        wanted = await call.read(read)
        outcome = await in_thread(_judge, call, presented, wanted, work)
        return give(call.services, outcome)

    return method


def _judge(
    call: Call, presented: Presented, wanted: Wanted | CscError, work: Work[Wanted]
) -> Outcome:
    caller = bearer.identify(call.services, bearer.prove(call.services, presented))
    try:
        if isinstance(wanted, CscError):
            raise wanted
        return work(call.services, caller, wanted)
    except (CscError, Refusal) as error:
        _record(call.services, caller, call.name, error)
        raise


def _record(services: Services, caller: Caller, method: str, error: CscError | Refusal) -> None:
    """Put on record what a known caller is refused. At most one statement."""
    reason = error.description if isinstance(error, CscError) else type(error).__name__
    event = audit.Event(
        "request.refused",
        "client",
        client_id=caller.client_id,
        subscriber_id=caller.subscriber_id,
        credential_id=caller.credential_id,
        detail={"endpoint": method, "reason": reason},
    )
    services.refusals.record(event)


def for_bearer(read: Reader[Wanted], work: BearerWork[Wanted]) -> Method:
    """The method whose ``work`` checks the token itself, in a statement of its own."""

    async def method(call: Call) -> Response:
        presented = bearer.read(call.services, call.request)
        wanted = await call.read(read)
        status, members = await in_thread(work, call.services, presented, wanted)
        return answer(members, status)

    return method


def router(version: Version) -> APIRouter:
    """Everything below the version's prefix; every refusal has the standard's error body."""

    async def dispatch(request: Request) -> Response:
        return await _dispatch(version, request)

    made = APIRouter()
    for path in (version.prefix + "/{method:path}", version.prefix):
        made.add_route(path, dispatch, methods=_HTTP_METHODS, include_in_schema=False)
    return made


def express(version: Version, *names: str) -> Table:
    """These methods for who asks with POST at their exact address."""

    def handler(name: str) -> Handler:
        async def method(request: Request) -> Response:
            return await _answered(version, name, request)

        return method

    return {("POST", f"{version.prefix}/{name}"): handler(name) for name in names}


async def _dispatch(version: Version, request: Request) -> Response:
    config = services(request).config
    path = request.path_params.get("method", "")
    return await _answered(version, path if config.csc.strict else path.rstrip("/"), request)


async def _answered(version: Version, name: str, request: Request) -> Response:
    config = services(request).config
    try:
        if not version.offers(config, name):
            raise not_implemented()
        request.scope[MEASURED_AS] = f"{version.prefix}/{name}"
        may_get = name in version.gets and not config.csc.strict
        if request.method != "POST" and not (may_get and request.method == "GET"):
            raise method_not_allowed()
        return await version.methods[name](Call(request, version, name))
    except CscError as error:
        return version.retold(name, error).response()
    except RemoteSigningError as error:
        return version.retold(name, refuse(name, error)).response()
