"""Whether two rows have one id, against a plain count of them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from model.jobs import unique_ids
from model.jobs.unique_ids import UniqueIds


def repeated(ids: Sequence[str], chunk: int) -> list[str]:
    def again() -> Iterator[Sequence[str]]:
        for start in range(0, len(ids), chunk):
            yield ids[start : start + chunk]

    with UniqueIds() as unique:
        for some in again():
            unique.add(some)
        return unique.repeated(again)


@pytest.mark.parametrize("in_memory", [1, 100, 10**6])
def test_repeated_ids_are_found(in_memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the hashes of ten ids on disk, of a hundred, and only at the end."""
    monkeypatch.setattr(unique_ids, "_IN_MEMORY", in_memory)
    ids = [str(number) for number in range(3000)]
    assert repeated(ids, 10) == []
    ids[17], ids[2999] = "2000", ""
    ids[5] = ""
    assert repeated(ids, 10) == [one for one, count in Counter(ids).items() if count > 1]


def test_two_ids_of_one_hash_are_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unique_ids, "_digest", lambda one: len(one).to_bytes(8, "big"))
    assert repeated(["ab", "cd", "e"], 2) == []
    assert repeated(["ab", "cd", "e", "cd"], 2) == ["cd"]


def test_a_few_are_named_and_no_file_stays() -> None:
    ids = [str(number % 100) for number in range(1000)]
    with UniqueIds() as unique:
        unique.add(ids)
        assert unique.repeated(lambda: [ids]) == ["0", "1", "2"]
        folder = Path(unique._folder.name)
        assert list(folder.iterdir())
    assert not folder.exists()
