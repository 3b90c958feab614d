"""Request ids: that of the client if it sent one, else a new one, in every answer."""

import re
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import REQUEST_ID

_SAFE = re.compile(r"[A-Za-z0-9._:-]{1,100}")
"""What may stand in a log; an id of another form is replaced."""


class RequestIds:
    """ASGI middleware: puts the id into `scope["state"]["request_id"]` and into the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        given = Headers(scope=scope).get(REQUEST_ID, "")
        id = given if _SAFE.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = id

        async def identified(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID] = id
            await send(message)

        await self._app(scope, receive, identified)
