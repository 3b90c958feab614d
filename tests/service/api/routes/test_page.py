"""The page: its files and their headers."""

import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from service.api.routes.page import HEADERS, MEDIA_TYPES, POLICY, STATIC, page_router

FILES = sorted(STATIC.iterdir())


@pytest.fixture(scope="module")
def client() -> TestClient:
    app = FastAPI()
    app.include_router(page_router())
    return TestClient(app)


def path_of(file: Path) -> str:
    return "/" if file.name == "index.html" else f"/static/{file.name}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_file_is_served_with_its_type_and_the_policy(client: TestClient, file: Path) -> None:
    response = client.get(path_of(file))
    assert (response.status_code, response.content) == (200, file.read_bytes())
    assert response.headers["content-type"] == MEDIA_TYPES[file.suffix]
    assert {name: response.headers[name] for name in HEADERS} == HEADERS
    head = client.head(path_of(file))
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == response.headers["content-length"]


def test_the_policy_lets_nothing_in_but_the_files_of_this_server() -> None:
    rules = dict(rule.split(" ", 1) for rule in POLICY.split("; "))
    assert rules.pop("default-src") == "'none'"
    assert {rules.pop(f"{kind}-src") for kind in ("script", "style", "connect", "img")} == {
        "'self'"
    }
    assert set(rules.values()) == {"'none'"}
    assert rules.keys() == {"base-uri", "form-action", "frame-ancestors"}


def test_a_file_that_the_client_has_is_not_sent_again(client: TestClient) -> None:
    tag = client.get("/").headers["etag"]
    for known in (tag, f'"other", W/{tag}'):
        again = client.get("/", headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert (again.headers["etag"], again.headers["cache-control"]) == (tag, "no-cache")
    assert client.get("/", headers={"If-None-Match": '"other"'}).status_code == 200
    assert client.get("/static/app.js").headers["etag"] != tag


@pytest.mark.parametrize(
    "path",
    ["/static/", "/static/index.html", "/static/../app.py", "/static/%2e%2e/app.py", "/static/x"],
)
def test_nothing_else_is_served(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_files_need_nothing_from_elsewhere_and_nothing_inline(file: Path) -> None:
    text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|@import|//cdn", text)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text)
    if file.suffix == ".html":
        assert not re.search(r"\sstyle=|\son\w+=|<style|<script(?! [^>]*src=)", text)
        names = re.findall(r'(?:src|href)="static/([\w.]+)"', text)
        assert names and all((STATIC / name).is_file() for name in names)


def test_the_page_is_no_part_of_the_schema() -> None:
    app = FastAPI()
    app.include_router(page_router())
    assert app.openapi()["paths"] == {}
