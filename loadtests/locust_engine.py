"""Users as locust's: greenlets with its fast HTTP client. Lives in an environment of its own."""

from __future__ import annotations

import time
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

from locust import FastHttpUser, constant, task
from locust.env import Environment
from locust.exception import StopUser

from loadtests.recorder import NO_ANSWER, Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadtests.worker import Desk

_SECONDS = 60.0


class _LocustHttp:
    """locust's client, asked for nothing but to send."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - locust ships without the marker for its types
        self._client = client
        # One user is many officials in turn: a jar would give one the other's session.
        client.cookiejar.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def send(
        self, step: str, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """As :class:`loadtests.recorder.Http` has it."""
        answer = self._client.request(
            method, url, name=step, headers=headers, data=body or None, allow_redirects=False
        )
        if not answer.status_code:
            return Answer(NO_ANSWER, {}, b"")
        found = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status_code, found, answer.content or b"")


def run(desk: Desk, users: int) -> None:
    """Until the arrivals end, or it is given up; who is at something then is stopped."""

    class User(FastHttpUser):  # type: ignore[misc]  # locust's types are not seen here
        """Takes turns at ``desk``."""

        host = "http://127.0.0.1"
        wait_time = constant(0)
        connection_timeout = network_timeout = _SECONDS
        max_redirects = 0

        @task  # type: ignore[untyped-decorator]  # as above
        def turns(self) -> None:
            """One after the other, as they come: locust's own choosing of tasks costs more."""
            http = _LocustHttp(self.client)
            while desk.turn(http):
                pass
            raise StopUser

    environment = Environment(user_classes=[User])
    runner = environment.create_local_runner()
    runner.start(users, spawn_rate=users)
    runner.spawning_greenlet.join()
    while runner.user_count and time.time() < desk.give_up:
        sleep(0.1)
    runner.quit()


def sleep(seconds: float) -> None:
    """Let the other users work."""
    time.sleep(seconds)  # gevent's: locust has put it in the standard one's place
