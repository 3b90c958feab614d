"""Web page: serves the files of `service/static/` under a strict content security policy.

The page uses the API like any other client; nothing here depends on models.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request, Response

STATIC = Path(__file__).resolve().parents[2] / "static"

INDEX = "index.html"

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Media types by suffix, fixed here because the system's table may differ. Files with other
suffixes are not served."""

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Cached, but revalidated each time: names have no version, and the ETag makes that cheap.
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True)
class _File:
    content: bytes
    headers: dict[str, str]

    def answer(self, request: Request) -> Response:
        """Return the file, or 304 if the client has it already."""
        known = request.headers.get("if-none-match", "")
        tags = [tag.strip().removeprefix("W/") for tag in known.split(",")]
        if self.headers["ETag"] in tags:
            return Response(status_code=304, headers=self.headers)
        return Response(self.content, headers=self.headers)


def page_router(static: Path = STATIC) -> APIRouter:
    """Return routes for the page at / and its files at /static/, which are read once.

    They are not part of the OpenAPI schema.
    """
    router = APIRouter(include_in_schema=False)
    for path in sorted(static.iterdir()):
        if path.suffix in MEDIA_TYPES:
            _serve(router, "/" if path.name == INDEX else f"/static/{path.name}", _read(path))
    return router


def _read(path: Path) -> _File:
    content = path.read_bytes()
    tag = hashlib.sha256(content).hexdigest()[:32]
    own = {"Content-Type": MEDIA_TYPES[path.suffix], "ETag": f'"{tag}"'}
    return _File(content, HEADERS | own)


def _serve(router: APIRouter, path: str, file: _File) -> None:
    @router.api_route(path, methods=["GET", "HEAD"])
    async def static(request: Request) -> Response:
        return file.answer(request)
