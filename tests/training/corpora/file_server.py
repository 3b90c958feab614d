"""A real HTTP server for downloads: it knows ranges, and breaks connections where it is told to."""

import re
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler


@dataclass
class FileServer:
    """What is served under which path, and how."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    etag: str = '"one"'
    ranges: bool = True
    breaks_after: list[int] = field(default_factory=list)
    """Bytes after which the next connections break, one each; then they hold."""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range of each request."""


def handler(state: FileServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.asked.append((self.path, wanted))
            if self.path not in state.files:
                self.send_error(404)
                return
            body = state.files[self.path]
            begin = 0
            same = self.headers.get("If-Range") in (None, state.etag)
            if wanted and state.ranges and same:
                found = re.fullmatch(r"bytes=(\d+)-", wanted)
                assert found
                begin = int(found[1])
                if begin >= len(body):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(body)}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
            else:
                self.send_response(200)
            if state.etag:
                self.send_header("ETag", state.etag)
            self.send_header("Content-Length", str(len(body) - begin))
            self.end_headers()
            rest = body[begin:]
            if state.breaks_after:
                self.wfile.write(rest[: state.breaks_after.pop(0)])
                self.wfile.flush()
                self.connection.close()
                return
            self.wfile.write(rest)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
