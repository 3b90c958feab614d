"""The busy routes answer the same with the framework's layers and without them."""

import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from model.errors import ConfigError
from service.api.error_responses import add_error_handlers
from service.api.fast_path import FastPath
from service.api.middleware import route_of
from service.errors import BodyTooLarge, EngineFailed, Overloaded

ERRORS: list[Exception] = [
    ConfigError("n_best: 9 is above beam_size 5."),
    BodyTooLarge(5),
    Overloaded("full", retry_after_s=7),
    EngineFailed(),
]


def router() -> APIRouter:
    busy = APIRouter()

    @busy.post("/echo")
    async def echo(request: Request) -> Response:
        return PlainTextResponse(await request.body())

    @busy.post("/fail")
    async def fail(request: Request) -> Response:
        raise ERRORS[int(await request.body())]

    return busy


@pytest.fixture
def framework() -> FastAPI:
    app = FastAPI()
    app.include_router(router())
    add_error_handlers(app)
    return app


async def nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("not direct", 418)(scope, receive, send)


@pytest.mark.parametrize(
    ("path", "body"), [("/echo", "Hund"), *(("/fail", str(i)) for i in range(4))]
)
def test_answers_and_refusals_are_those_of_the_framework(
    framework: FastAPI, path: str, body: str
) -> None:
    direct = TestClient(FastPath(nowhere, routers=[router()])).post(path, content=body)
    whole = TestClient(framework).post(path, content=body)
    assert direct.status_code == whole.status_code != 418
    assert direct.content == whole.content
    assert direct.headers == whole.headers


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/echo"), ("POST", "/other"), ("POST", "/echo/")]
)
def test_anything_else_is_left_to_the_framework(method: str, path: str) -> None:
    client = TestClient(FastPath(nowhere, routers=[router()]))
    assert client.request(method, path).status_code == 418


def test_the_route_has_its_name_for_logs_and_metrics() -> None:
    seen: list[str] = []
    direct = FastPath(nowhere, routers=[router()])

    async def around(scope: Scope, receive: Receive, send: Send) -> None:
        await direct(scope, receive, send)
        seen.append(route_of(scope))

    TestClient(around).post("/echo", content="Hund")
    assert seen == ["/echo"]


def test_a_failure_of_ours_is_not_swallowed() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        TestClient(FastPath(nowhere, routers=[router()])).post("/fail", content="x")
