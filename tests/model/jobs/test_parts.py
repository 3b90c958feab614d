"""The folder of parts: who may work in it, and who joins it."""

import argparse
from dataclasses import replace
from pathlib import Path

import pytest

from model.decoding.options import SearchOptions
from model.errors import ConfigError, DataError
from model.jobs.manifest import Manifest, adopt, check_same, load_manifest, manifest_path, part_size
from model.jobs.parts import Shard, claim, folder_of
from model.jobs.truncation import Truncations
from model.jobs.window import Written

MANIFEST = Manifest(
    dragoman="1.0",
    model="m",
    ensemble=(),
    input="i",
    records=10,
    part_records=4,
    format="text",
    field=None,
    search=SearchOptions(),
    mbr=False,
    precision="fp32",
    shortlist=False,
    device="cpu",
    threads=1,
)
WHOLE = Shard(1, 1)


def test_parts_and_their_sizes(tmp_path: Path) -> None:
    with claim(tmp_path / "o.parts", MANIFEST, WHOLE, resume=False) as parts:
        assert len(parts) == 3
        assert [parts.size(part) for part in range(3)] == [4, 4, 2]
        parts.write(2, Written(b"c\n", b"", Truncations()))
        assert [parts.is_done(part) for part in range(3)] == [False, False, True]
        assert not parts.last_one()


@pytest.mark.parametrize(
    ("records", "size"), [(0, 1024), (2500, 1024), (128_000, 2000), (1_000_000, 4096)]
)
def test_small_inputs_have_small_parts(records: int, size: int) -> None:
    assert part_size(records) == size


def test_of_shards_that_end_together_the_last_one_joins(tmp_path: Path) -> None:
    folder, output = tmp_path / "out.parts", tmp_path / "out"
    with (
        claim(folder, MANIFEST, Shard(1, 2), resume=False) as first,
        claim(folder, MANIFEST, Shard(2, 2), resume=False) as second,
    ):
        first.write(2, Written(b"c\n", b"", Truncations()))
        second.write(1, Written(b"b\n", b"q\n", Truncations()))
        first.write(0, Written(b"a\n", b"p\n", Truncations()))
        assert not first.last_one()  # the second is still at work
        assert second.last_one()
        assert list(second.quarantined()) == [b"p\n", b"q\n"]
        second.publish(output, second.copy_to)
    assert output.read_bytes() == b"a\nb\nc\n"
    assert list(tmp_path.iterdir()) == [output]


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "out.parts"
    with claim(folder, MANIFEST, WHOLE, resume=False) as parts:
        parts.write(0, Written(b"a\n", b"", Truncations()))
        for shard in (WHOLE, Shard(1, 2)):
            with (
                pytest.raises(DataError, match=r"in use by another process\. Wait for it"),
                claim(folder, MANIFEST, shard, resume=True),
            ):
                pass
    with claim(folder, MANIFEST, WHOLE, resume=True) as parts:
        assert parts.is_done(0)


def test_a_failure_before_the_first_part_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "out.parts"
    with pytest.raises(KeyboardInterrupt), claim(folder, MANIFEST, WHOLE, resume=False):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    with (
        pytest.raises(KeyboardInterrupt),
        claim(folder, MANIFEST, WHOLE, resume=False) as parts,
    ):
        parts.write(0, Written(b"a\n", b"", Truncations()))
        raise KeyboardInterrupt
    assert folder.exists()


def test_the_first_manifest_counts(tmp_path: Path) -> None:
    folder = tmp_path / "out.parts"
    with claim(folder, MANIFEST, Shard(1, 2), resume=False):
        other = replace(MANIFEST, precision="bf16")
        with (
            pytest.raises(ConfigError, match="with precision fp32, not bf16"),
            claim(folder, other, Shard(2, 2), resume=False),
        ):
            pass
        assert load_manifest(manifest_path(folder)) == MANIFEST


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (replace(MANIFEST, model="n"), "begun with another model"),
        (replace(MANIFEST, ensemble=("n",)), "begun with another ensemble"),
        (replace(MANIFEST, search=SearchOptions(alpha=0.5)), r"with alpha 1\.0, not 0\.5"),
        (replace(MANIFEST, mbr=True), "with mbr False, not True"),
        (replace(MANIFEST, device="cuda"), "with device cpu, not cuda"),
        (replace(MANIFEST, dragoman="2.0"), r"with dragoman 1\.0, not 2\.0"),
    ],
)
def test_what_differs_is_named(other: Manifest, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_same(MANIFEST, other, Path("out.parts/manifest.json"))
    assert MANIFEST.key() != other.key()


def test_an_ensemble_takes_over_nothing_of_the_job_of_one_model() -> None:
    """It would be refused for a precision that nobody asked it for."""
    flags = argparse.Namespace(precision="auto", device="auto", threads=None, ensemble=[Path("b")])
    with pytest.raises(ConfigError, match="begun with another ensemble"):
        adopt(replace(MANIFEST, precision="int8"), flags, Path("out.parts/manifest.json"))
    assert flags.precision == "auto"


def test_a_manifest_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    for text in ("{", '{"later": 1}', "[]"):
        path.write_text(text)
        with pytest.raises(DataError, match=r"manifest\.json: cannot be used"):
            load_manifest(path)


def test_parts_are_beside_the_file_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "out.txt")
    assert folder_of(tmp_path / "link") == tmp_path / "folder" / "out.txt.parts"
