"""Fast path: the routes that carry the load, answered without the framework's layers.

Between the door and an endpoint FastAPI matches routes, opens exit stacks and solves dependencies,
for every request anew. Ours have no dependencies and no parameters in their paths, so for them all
that is a look into a dictionary; what it saves was measured as 0.2 ms a request, a fourth of what
the event loop did. The framework still describes them, and answers whatever is not found here.
"""

from collections.abc import Awaitable, Callable, Iterable

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from model.errors import DragomanError
from service.api.error_responses import refusal
from service.errors import ClientGone, EngineFailed

Endpoint = Callable[[Request], Awaitable[Response]]


class FastPath:
    """ASGI middleware, the innermost: calls the endpoint itself where path and method are plain."""

    def __init__(self, app: ASGIApp, *, routers: Iterable[APIRouter]) -> None:
        """`routers` have routes whose endpoints take the request alone."""
        self._app = app
        self._routes: dict[tuple[str, str], APIRoute] = {
            (method, route.path): route
            for router in routers
            for route in router.routes
            if isinstance(route, APIRoute)
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = None
        if scope["type"] == "http":
            route = self._routes.get((scope["method"], scope["path"]))
        if route is None:
            return await self._app(scope, receive, send)
        scope["route"] = route
        endpoint: Endpoint = route.endpoint
        request = Request(scope, receive, send)
        try:
            response = await endpoint(request)
        except (DragomanError, EngineFailed, ClientGone) as error:
            response = refusal(request, error)
        await response(scope, receive, send)
