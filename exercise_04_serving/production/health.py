"""Probes of an orchestrator: /live and /ready, on a connection of their own."""

from redis import RedisError
from redis.asyncio import Redis
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

PROBES = frozenset({"/live", "/ready"})


class Probes:
    """Answers /live while the process runs, /ready while Redis responds within `timeout_s`.

    A request's connections may all be busy; a probe that waits for one would restart the service
    at its busiest.
    """

    def __init__(self, app: ASGIApp, host: str, port: int, timeout_s: float) -> None:
        self._app = app
        timeouts = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
        self._redis = Redis(host=host, port=port, **timeouts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in PROBES:
            return await self._app(scope, receive, send)
        response = JSONResponse({"status": scope["path"][1:]})
        if scope["path"] == "/ready":
            try:
                await self._redis.ping()
            except RedisError:
                response = JSONResponse({"status": "not ready"}, 503)
        await response(scope, receive, send)
