"""Downloads that break go on, and what is put together is the file."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.training.corpora.file_server import FileServer
from training.corpora.download import BROKEN, ResumingDownloader

BODY = random.Random(1).randbytes(300_000)


@pytest.fixture
def fetch(server: FileServer, tmp_path: Path) -> Callable[[bool], bytes]:
    """Fetches /file as a fresh process would, with nothing but the partial file."""
    server.files["/file"] = BODY

    def call(digest_known: bool = False) -> bytes:
        downloader = ResumingDownloader(
            partial=tmp_path / "file.part",
            digest_known=digest_known,
            progress=lambda have, total: None,
        )
        downloader(f"{server.url}/file", str(tmp_path / "file"), None)
        assert not (tmp_path / "file.part").exists()
        assert not (tmp_path / "file.part.version").exists()
        return (tmp_path / "file").read_bytes()

    return call


def test_a_connection_that_breaks_is_made_again_for_the_rest(
    server: FileServer, fetch: Callable[[bool], bytes]
) -> None:
    server.breaks_after = [100_000, 50_000]
    assert fetch(False) == BODY
    assert [wanted for _, wanted in server.asked] == [None, "bytes=100000-", "bytes=150000-"]


def test_a_later_process_goes_on(
    server: FileServer, fetch: Callable[[bool], bytes], tmp_path: Path
) -> None:
    server.breaks_after = [100_000, 0]  # the second attempt brings nothing, so it gives up
    with pytest.raises(BROKEN):
        fetch(False)
    assert (tmp_path / "file.part").read_bytes() == BODY[:100_000]
    assert not (tmp_path / "file").exists()
    assert fetch(False) == BODY
    assert server.asked[-1][1] == "bytes=100000-"


def test_a_file_that_changed_meanwhile_is_fetched_from_its_beginning(
    server: FileServer, fetch: Callable[[bool], bytes]
) -> None:
    server.breaks_after = [100_000, 0]
    with pytest.raises(BROKEN):
        fetch(False)
    server.files["/file"], server.etag = b"new" * 1000, '"two"'
    assert fetch(False) == b"new" * 1000


@pytest.mark.parametrize("digest_known", [False, True])
def test_without_anything_that_identifies_the_file_only_a_digest_allows_to_go_on(
    server: FileServer, fetch: Callable[[bool], bytes], digest_known: bool
) -> None:
    server.etag, server.breaks_after = 'W/"weak"', [100_000]
    assert fetch(digest_known) == BODY
    assert [wanted for _, wanted in server.asked[1:]] == ["bytes=100000-" if digest_known else None]


def test_a_server_without_ranges_sends_all(
    server: FileServer, fetch: Callable[[bool], bytes]
) -> None:
    server.ranges, server.breaks_after = False, [100_000]
    assert fetch(False) == BODY


def test_a_partial_file_that_is_already_whole_is_taken(
    server: FileServer, fetch: Callable[[bool], bytes], tmp_path: Path
) -> None:
    (tmp_path / "file.part").write_bytes(BODY)
    assert fetch(True) == BODY


def test_a_partial_file_that_is_too_long_is_dropped(
    server: FileServer, fetch: Callable[[bool], bytes], tmp_path: Path
) -> None:
    (tmp_path / "file.part").write_bytes(BODY + b"more")
    assert fetch(True) == BODY


def test_a_refusal_is_raised(server: FileServer, fetch: Callable[[bool], bytes]) -> None:
    del server.files["/file"]
    with pytest.raises(requests.HTTPError, match="404"):
        fetch(False)
