"""Host check: only requests that call the server by one of its names are answered.

A page of a stranger can give its own name the address of this machine (DNS rebinding). The browser
then lets it read what a server here answers, but still sends the stranger's name in `Host`.
"""

import re
from collections.abc import Collection

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.error_responses import refusal
from service.errors import WrongHost

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
"""Names of this machine that no stranger can have."""

_HOST = re.compile(rb"(\[[0-9a-f:.]+\]|[^:\[\]]+?)\.?(?::\d*)?", re.IGNORECASE)
"""A name or an address, and a port."""


class HostCheck:
    """ASGI middleware: refuses requests whose header `Host` has none of the `names`."""

    def __init__(self, app: ASGIApp, *, names: Collection[str]) -> None:
        self._app = app
        self._names = {name.lower().encode() for name in (*LOOPBACK_NAMES, *names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._is_ours(scope):
            return await refusal(Request(scope), WrongHost())(scope, receive, send)
        await self._app(scope, receive, send)

    def _is_ours(self, scope: Scope) -> bool:
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        matches = [_HOST.fullmatch(host) for host in hosts]
        return bool(hosts) and all(match and match[1].lower() in self._names for match in matches)
