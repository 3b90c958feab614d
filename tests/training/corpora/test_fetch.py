"""Fetching a set from a real server: checked, resumed, described, and never half."""

import dataclasses
import gzip
import hashlib
import io
import json
import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from model.errors import DataError
from tests.training.corpora.file_server import FileServer
from training.corpora.catalogue import ARXIV_TITLES, MULTI30K, TATOEBA_DE_EN, PublicSet, SourceFile
from training.corpora.fetch import fetch_set

ENGLISH = gzip.compress(b"A dog.\n" * 500)
GERMAN = gzip.compress(b"Ein Hund.\n" * 500)


def at(public: PublicSet, url: str, checksums: dict[str, str | None]) -> PublicSet:
    """`public` with files that lie at `url`."""
    sources = tuple(
        SourceFile(name=name, url=f"{url}/{name}", checksum=checksum)
        for name, checksum in checksums.items()
    )
    files = tuple(checksums) if public.preparation == "none" else public.files
    return dataclasses.replace(public, sources=sources, files=files)


@pytest.fixture
def captions(server: FileServer) -> PublicSet:
    """A set of two files with known digests."""
    server.files = {"/train.en.gz": ENGLISH, "/train.de.gz": GERMAN}
    md5 = {name[1:]: f"md5:{hashlib.md5(body).hexdigest()}" for name, body in server.files.items()}
    return at(MULTI30K, server.url, dict(md5))


def zipped(members: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return buffer.getvalue()


TATOEBA_LINES = "".join(
    f"Sentence {n}.\tSatz {n}.\tCC-BY 2.0 (France) Attribution: tatoeba.org #{n}\n"
    for n in range(50)
)


@pytest.fixture
def tatoeba(server: FileServer) -> PublicSet:
    """A set made of an archive of unknown digest, in which a name leads outside."""
    server.files["/deu-eng.zip"] = zipped({"../../outside.txt": "x", "deu.txt": TATOEBA_LINES})
    return at(TATOEBA_DE_EN, server.url, {"deu-eng.zip": None})


def lines(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode().splitlines()


def test_a_set_is_fetched_described_and_not_fetched_again(
    server: FileServer, captions: PublicSet, tmp_path: Path
) -> None:
    fetch_set(captions, tmp_path)
    folder = tmp_path / "multi30k"
    assert (folder / "train.en.gz").read_bytes() == ENGLISH
    assert (folder / "train.de.gz").read_bytes() == GERMAN
    assert sorted(os.listdir(folder)) == ["_about.txt", "train.de.gz", "train.en.gz"]
    about = (folder / "_about.txt").read_text()
    for part in (captions.licence, captions.attribution, f"{server.url}/train.en.gz"):
        assert part in about
    # sha256sum is an independent reader of the checksums.
    subprocess.run(["sha256sum", "--check", "--quiet", "_about.txt"], cwd=folder, check=True)
    asked = len(server.asked)
    assert fetch_set(captions, tmp_path).endswith("Nothing to do.")
    assert len(server.asked) == asked


def test_a_broken_download_is_kept_and_taken_up_by_the_next_call(
    server: FileServer, captions: PublicSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.breaks_after = [20, 0]
    with pytest.raises(DataError, match="Give the same command again"):
        fetch_set(captions, tmp_path)
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2
    for name, line in zip(("train.en.gz", "train.de.gz"), told, strict=True):
        assert f"{server.url}/{name}" in line
        assert str(tmp_path / "multi30k" / name) in line
        assert captions.licence in line
    fetch_set(captions, tmp_path)
    assert ("/train.en.gz", "bytes=20-") in server.asked
    assert (tmp_path / "multi30k" / "train.en.gz").read_bytes() == ENGLISH


def test_files_put_there_by_hand_are_checked_and_taken(
    server: FileServer, captions: PublicSet, tmp_path: Path
) -> None:
    folder = tmp_path / "multi30k"
    folder.mkdir()
    (folder / "train.en.gz").write_bytes(ENGLISH)
    (folder / "train.de.gz").write_bytes(GERMAN)
    fetch_set(captions, tmp_path)
    assert not server.asked
    assert (folder / "_about.txt").exists()


def test_a_wrong_checksum_is_refused_and_the_file_not_kept(
    server: FileServer, captions: PublicSet, tmp_path: Path
) -> None:
    server.files["/train.de.gz"] = b"<html>not found</html>"
    with pytest.raises(DataError, match=r"another checksum than md5:[0-9a-f]{32}, and is not kept"):
        fetch_set(captions, tmp_path)
    assert os.listdir(tmp_path / "multi30k") == ["train.en.gz"]


def test_a_file_in_the_way_is_not_overwritten(captions: PublicSet, tmp_path: Path) -> None:
    folder = tmp_path / "multi30k"
    folder.mkdir()
    (folder / "train.en.gz").write_bytes(b"mine")
    with pytest.raises(DataError, match=r"train\.en\.gz: has MD5 .* Move it away"):
        fetch_set(captions, tmp_path)
    assert (folder / "train.en.gz").read_bytes() == b"mine"


def test_an_archive_becomes_splits_and_nothing_lands_outside(
    tatoeba: PublicSet, tmp_path: Path
) -> None:
    base = tmp_path / "a" / "b"
    fetch_set(tatoeba, base, held_out=5)
    folder = base / "tatoeba-de-en"
    assert sorted(os.listdir(folder)) == sorted([*tatoeba.files, "_about.txt", "deu-eng.zip"])
    found = []
    for split, count in (("train", 40), ("dev", 5), ("test", 5)):
        pairs = zip(lines(folder / f"{split}.de.gz"), lines(folder / f"{split}.en.gz"), strict=True)
        kept = list(pairs)
        assert len(kept) == count
        found += kept
    assert sorted(found) == sorted((f"Satz {n}.", f"Sentence {n}.") for n in range(50))
    assert [path for path in tmp_path.rglob("*") if path.name == "outside.txt"] == []


def test_splits_that_were_interrupted_are_made_again(
    server: FileServer, tatoeba: PublicSet, tmp_path: Path
) -> None:
    folder = tmp_path / "tatoeba-de-en"
    folder.mkdir()
    in_the_way = folder / "dev.en.gz"
    in_the_way.symlink_to(tmp_path / "nowhere" / "dev.en.gz")  # cannot be written
    with pytest.raises(DataError, match=r"dev\.en\.gz: cannot be written"):
        fetch_set(tatoeba, tmp_path, held_out=5)
    assert (folder / "train.de.gz").exists()
    in_the_way.unlink()
    fetch_set(tatoeba, tmp_path, held_out=5)
    assert len(server.asked) == 1
    assert fetch_set(tatoeba, tmp_path).endswith("Nothing to do.")
    told = (folder / "_about.txt").read_text()
    assert all(f"  {name}\n" in told for name in ("deu-eng.zip", *tatoeba.files))
    subprocess.run(["sha256sum", "--check", "--quiet", "_about.txt"], cwd=folder, check=True)


def test_a_source_that_changed_is_told_by_the_checksum_of_the_first_fetch(
    server: FileServer, tatoeba: PublicSet, tmp_path: Path
) -> None:
    fetch_set(tatoeba, tmp_path, held_out=5)
    folder = tmp_path / "tatoeba-de-en"
    before = (folder / "test.de.gz").read_bytes()
    (folder / "deu-eng.zip").unlink()
    (folder / "test.de.gz").unlink()
    fetch_set(tatoeba, tmp_path, held_out=5)
    assert (folder / "test.de.gz").read_bytes() == before
    (folder / "deu-eng.zip").unlink()
    (folder / "test.de.gz").unlink()
    server.files["/deu-eng.zip"] = zipped({"deu.txt": TATOEBA_LINES + "More.\tMehr.\n"})
    with pytest.raises(DataError, match=r"the file has changed there: move .* away"):
        fetch_set(tatoeba, tmp_path, held_out=5)
    assert not (folder / "deu-eng.zip").exists()


def test_a_damaged_file_is_found(tatoeba: PublicSet, tmp_path: Path) -> None:
    fetch_set(tatoeba, tmp_path, held_out=5)
    (tmp_path / "tatoeba-de-en" / "dev.de.gz").write_bytes(gzip.compress(b"other\n"))
    with pytest.raises(DataError, match=r"dev\.de\.gz: has SHA-256 .*, not .* as _about\.txt says"):
        fetch_set(tatoeba, tmp_path, held_out=5)


def test_a_set_from_elsewhere_is_left_as_it_is(
    server: FileServer, tatoeba: PublicSet, tmp_path: Path
) -> None:
    folder = tmp_path / "tatoeba-de-en"
    folder.mkdir()
    for name in tatoeba.files:
        (folder / name).write_bytes(b"mine")
    assert "from elsewhere" in fetch_set(tatoeba, tmp_path)
    (folder / "dev.en.gz").unlink()
    with pytest.raises(DataError, match="is not of dragoman-data"):
        fetch_set(tatoeba, tmp_path)
    assert not server.asked
    assert not (folder / "_about.txt").exists()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>", "is a damaged zip file"),
        (zipped({"fra.txt": "a\tb\n"}), r"has no file deu\.txt"),
        (zipped({"deu.txt": "a\tb\nno tab\n"}), r"deu\.txt, line 2: no tab in it"),
        (zipped({"deu.txt": "a\tb\n"}), "too few pairs"),
    ],
)
def test_an_archive_that_is_none_is_refused(
    server: FileServer, tatoeba: PublicSet, tmp_path: Path, body: bytes, message: str
) -> None:
    server.files["/deu-eng.zip"] = body
    with pytest.raises(DataError, match=message):
        fetch_set(tatoeba, tmp_path)
    assert os.listdir(tmp_path / "tatoeba-de-en") == ["deu-eng.zip"]


def test_papers_of_our_months_and_fields_become_titles(server: FileServer, tmp_path: Path) -> None:
    def paper(id: str, categories: str, words: int = 40) -> str:
        abstract = f"  On {id}\n" + "word " * words + "\n"
        title = f"A title of\n  {id}"
        return json.dumps(
            {"id": id, "title": title, "categories": categories, "abstract": abstract}
        )

    kept = [paper(f"2505.{n:05}", "math.CO cs.CL") for n in range(30)]
    others = [
        paper("2501.00001", "cs.CL"),  # before
        paper("math/0608123", "cs.CL"),  # long before
        paper("2607.00001", "cs.CL"),  # after
        paper("2505.99999", "math.CO"),  # another field
        paper("2505.88888", "cs.CL", words=5),  # too short
    ]
    text = "".join(f"{line}\n" for line in others + kept)
    server.files["/arxiv.zip"] = zipped({"arxiv-metadata-oai-snapshot.json": text})
    fetch_set(at(ARXIV_TITLES, server.url, {"arxiv.zip": None}), tmp_path, held_out=4)
    folder = tmp_path / "arxiv-titles"
    titles = [t for split in ("train", "dev", "test") for t in lines(folder / f"{split}.title.gz")]
    assert sorted(titles) == [f"A title of 2505.{n:05}" for n in range(30)]
    for abstract, title in zip(
        lines(folder / "dev.abstract.gz"), lines(folder / "dev.title.gz"), strict=True
    ):
        assert abstract.split()[:2] == ["On", title.split()[-1]]


def test_an_address_that_moved_says_where_to_look(
    server: FileServer, tatoeba: PublicSet, tmp_path: Path
) -> None:
    server.files.clear()
    with pytest.raises(DataError, match=r"refused \(404 .*https://tatoeba\.org"):
        fetch_set(tatoeba, tmp_path)


def test_no_room_and_no_permission_are_one_line(
    tatoeba: PublicSet, captions: PublicSet, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot be written \(Not a directory\)"):
        fetch_set(tatoeba, tmp_path / "file")
    folder = tmp_path / "multi30k"
    folder.mkdir()
    (folder / "train.en.gz.part").symlink_to("/dev/full")  # the disk is full
    with pytest.raises(DataError, match=r"cannot be written \(No space left on device\)"):
        fetch_set(captions, tmp_path)
    assert not (folder / "train.en.gz").exists()
