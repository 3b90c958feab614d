"""Download: a file over HTTP that goes on where an earlier attempt stopped, for `pooch.retrieve`.

Pooch verifies digests and keeps a file only if its digest is right, but its own downloader begins
again after every break. This one asks for the rest (RFC 9110, section 14: Range, and If-Range with
what identified the file when it began).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import requests
import urllib3

TIMEOUT_S = 60.0
CHUNK = 1 << 16
USER_AGENT = "Mozilla/5.0 (compatible; dragoman-data)"
"""Some servers refuse what does not look like a browser, www.manythings.org among them."""

BROKEN = (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError)
"""What a connection raises that cannot be made, or that breaks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ResumingDownloader:
    """Fetches a URL in as many pieces as it takes; what has come is kept in `partial`."""

    partial: Path
    digest_known: bool
    """Whether a digest will show that pieces do not fit together."""
    progress: Callable[[int, int | None], None]
    """Is called with the bytes that are there, and with those of the whole file if known."""

    def __call__(self, url: str, output_file: str, pooch: object, check_only: bool = False) -> None:
        """Fetch `url` into `output_file`, with the arguments that pooch gives.

        A connection that breaks is made again as long as each brings something.

        Raises:
            One of `BROKEN`: no connection, or one that broke and brought nothing.
            requests.HTTPError: the server refuses.
            OSError: the file cannot be written.
        """
        complete = False
        while not complete:
            before = self._have()
            try:
                complete = self._go_on(url)
            except BROKEN:
                if self._have() <= before:
                    raise
        self.partial.replace(output_file)
        self._version.unlink(missing_ok=True)

    @property
    def _version(self) -> Path:
        """The file that holds what identifies the version of which `partial` is the beginning."""
        return self.partial.with_name(self.partial.name + ".version")

    def _have(self) -> int:
        return self.partial.stat().st_size if self.partial.exists() else 0

    def _go_on(self, url: str) -> bool:
        """Ask for what is missing and append it; return whether the file is complete."""
        have = self._have()
        version = self._version.read_text() if self._version.exists() else ""
        if not version and not self.digest_known:
            have = 0  # nothing would show that the file has changed meanwhile
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if version:
                headers["If-Range"] = version
        with requests.get(url, headers=headers, timeout=TIMEOUT_S, stream=True) as answer:
            if answer.status_code == 416:
                if answer.headers.get("Content-Range") == f"bytes */{have}":
                    return True
                self.partial.unlink()
                return False
            answer.raise_for_status()
            partly = answer.status_code == 206
            if partly and _begins_at(answer) != have:
                self.partial.unlink()
                return False
            if not partly:
                self.partial.write_bytes(b"")  # before it seems to be of this version
                self._version.write_text(_version_of(answer))
            self._append(answer, have if partly else 0)
        return True

    def _append(self, answer: requests.Response, have: int) -> None:
        """Write the body of `answer` after the first `have` bytes of `partial`."""
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else None
        with self.partial.open("ab" if have else "wb") as file:
            # Not decoded: a server may declare a .gz file to be an encoding.
            for chunk in answer.raw.stream(CHUNK, decode_content=False):
                file.write(chunk)
                have += len(chunk)
                self.progress(have, total)


def _begins_at(answer: requests.Response) -> int | None:
    """The position of the first byte of a partial answer."""
    found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def _version_of(answer: requests.Response) -> str:
    """What If-Range may name: a strong ETag, else the date of the last change."""
    etag = answer.headers.get("ETag", "")
    if etag and not etag.startswith("W/"):
        return etag
    return answer.headers.get("Last-Modified", "")
