"""The survey of a corpus: which texts count as equal, and which pairs may be held out."""

from pathlib import Path

import pytest

from training.config.data_config import CorpusConfig, DataConfig
from training.from_files.survey import Survey, take_survey, text_key


def survey_of(folder: Path, pairs: list[tuple[str, str]], *, any_ratio: bool = False) -> Survey:
    for name, side in zip(("source", "target"), zip(*pairs, strict=True), strict=True):
        (folder / name).write_text("".join(f"{line}\n" for line in side), encoding="utf-8")
    corpus = CorpusConfig(source=folder / "source", target=folder / "target")
    data = DataConfig(
        train=(corpus,), dev=corpus, source_language="", target_language="", license=""
    )
    return take_survey(corpus, data, any_ratio=any_ratio)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Hello, World!", "hello world"),
        ("STRASSE 7", "straße (7)"),
        ("L'été", "l\u2019ÉTÉ…"),
        ("\uff46\uff55ll", "Full"),
    ],
)
def test_texts_of_equal_letters_and_digits_are_equal(one: str, other: str) -> None:
    assert text_key(one) == text_key(other)


def test_other_texts_differ() -> None:
    assert len({text_key(text) for text in ("a 1", "a 2", "b 1", "?", "!", "你好", "您好")}) == 7
    assert text_key(" \t ") == ""


def test_what_may_be_held_out(tmp_path: Path) -> None:
    pairs = [
        ("a house", "ein Haus"),
        ("", "nothing"),
        ("nothing", "  "),
        ("the same", "The same!"),
        ("no", "a very long line that can hardly be the translation of that"),
    ]
    assert survey_of(tmp_path, pairs).fit.tolist() == [True, False, False, False, False]
    assert survey_of(tmp_path, pairs, any_ratio=True).fit.tolist()[-1]


def test_equal_sides_have_equal_hashes_and_the_digest_knows_everything(tmp_path: Path) -> None:
    pairs = [("One", "x"), ("one!", "y"), ("two", "X.")]
    survey = survey_of(tmp_path, pairs)
    assert survey.source_keys[0] == survey.source_keys[1] != survey.source_keys[2]
    assert survey.target_keys[0] == survey.target_keys[2] != survey.target_keys[1]
    assert len(set(survey.pair_keys.tolist())) == 3
    assert survey.sample.sources == ["One", "one!", "two"]
    assert survey_of(tmp_path, pairs).digest == survey.digest
    assert survey_of(tmp_path, [*pairs[:2], ("two", "X")]).digest != survey.digest
