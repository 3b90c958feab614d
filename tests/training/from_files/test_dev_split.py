"""The dev split: nothing that is held out is in the training, whatever the order of the pairs."""

import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import DataError
from training.config.data_config import CorpusConfig, DataConfig
from training.from_files.dev_split import FILES, choose_dev, dev_size, overlap, write_split
from training.from_files.survey import take_survey, text_key

Pairs = list[tuple[str, str]]


def corpus_in(folder: Path, pairs: Pairs) -> tuple[CorpusConfig, DataConfig]:
    for name, side in zip(("source", "target"), zip(*pairs, strict=True), strict=True):
        (folder / name).write_text("".join(f"{line}\n" for line in side), encoding="utf-8")
    corpus = CorpusConfig(source=folder / "source", target=folder / "target")
    data = DataConfig(
        train=(corpus,), dev=corpus, source_language="", target_language="", license=""
    )
    return corpus, data


def split(pairs: Pairs) -> tuple[Pairs, Pairs]:
    """Training and dev pairs, as they are written."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus, data = corpus_in(folder, pairs)
        write_split(folder, corpus, data, choose_dev(take_survey(corpus, data)))
        lines = [(folder / file).read_text(encoding="utf-8").split("\n")[:-1] for file in FILES]
    return list(zip(*lines[:2], strict=True)), list(zip(*lines[2:], strict=True))


def numbered(count: int) -> Pairs:
    return [(f"Satz {number} hier", f"sentence {number} here") for number in range(count)]


@settings(max_examples=25, deadline=None)
@given(
    repeats=st.lists(st.tuples(st.integers(0, 149), st.integers(0, 149)), max_size=60),
    seed=st.integers(0, 5),
)
def test_no_side_is_in_both_and_nothing_else_is_lost(
    repeats: list[tuple[int, int]], seed: int
) -> None:
    """Pairs that repeat a source, a target or both of others, in other case and punctuation."""
    plain = numbered(150)
    pairs = plain + [(plain[a][0].upper() + "!", plain[b][1] + " .") for a, b in repeats]
    random.Random(seed).shuffle(pairs)
    train, dev = split(pairs)
    for side in (0, 1):
        keys = {text_key(pair[side]) for pair in dev}
        assert not keys & {text_key(pair[side]) for pair in train}
        gone = [pair for pair in pairs if pair not in train and pair not in dev]
    assert len(dev) == dev_size(len(set(pairs)))
    for pair in gone:
        sides = [{text_key(held[side]) for held in dev} for side in (0, 1)]
        assert text_key(pair[0]) in sides[0] or text_key(pair[1]) in sides[1]
    assert [pair for pair in pairs if pair in train] == train  # in the order of the files
    random.Random(seed + 1).shuffle(pairs)
    assert sorted(split(pairs)[1]) == sorted(dev)


def test_pairs_that_occur_once_are_held_out_first() -> None:
    pairs = numbered(200) + [("Ja.", "Yes.")] * 100
    train, dev = split(pairs)
    assert ("Ja.", "Yes.") not in dev
    assert len(train) + len(dev) == 300


@pytest.mark.parametrize(
    ("pairs", "size"), [(100, 20), (400, 80), (500, 100), (2000, 100), (8000, 400), (10**6, 1000)]
)
def test_the_size_of_the_dev_set(pairs: int, size: int) -> None:
    assert dev_size(pairs) == size


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (numbered(10), "only 10 different pairs with text on both sides, of 10"),
        (numbered(60) * 3, "only 60 different pairs with text on both sides, of 180"),
        ([(str(n), str(n)) for n in range(500)], "only 0 different pairs"),
        ([(f"Satz {n}", f"label {n % 5}") for n in range(500)], "the pairs repeat so much"),
    ],
)
def test_what_cannot_be_split_is_refused(tmp_path: Path, pairs: Pairs, message: str) -> None:
    with pytest.raises(DataError, match=message):
        choose_dev(take_survey(*corpus_in(tmp_path, pairs)))


def test_the_overlap_with_a_given_dev_set_is_counted(tmp_path: Path) -> None:
    survey = take_survey(*corpus_in(tmp_path, numbered(50)))
    given = [("satz 3 HIER", "other"), ("other", "Sentence 4 here!"), ("new", "new too")]
    assert overlap(survey, take_survey(*corpus_in(tmp_path, given))) == 2
