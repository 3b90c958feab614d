"""BLEU counts words where a script has no spaces, and elsewhere is what it always was."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sacrebleu

from model.text.tokenizer import Tokenizer
from training.metrics.bleu_tokenization import BleuTokenizer, bleu_tokenizer, make_bleu
from training.validation.corpus_scores import score_corpus

ROOT = Path(__file__).parents[3]

TEXTS = {
    "zh": ["今天的天气很好。我们去公园散步吧。", "会议将于八月五日上午举行。"],
    "zh-TW": ["今天的天氣很好,我們去公園散步吧。", "會議將於八月五日舉行。"],
    "ja": ["今日はとても天気がいいので、公園を散歩しましょう。", "会議は八月五日に開かれます。"],
    "ko": ["오늘은 날씨가 아주 좋으니 공원에 산책하러 갑시다.", "회의는 8월 5일에 열립니다."],
    "th": ["วันนี้อากาศดีมากเราไปเดินเล่นกันเถอะ", "ขนมปังนี้ราคาสี่ยูโร"],
    "lo": ["ມື້ນີ້ອາກາດດີຫຼາຍ", "ເຂົ້າຈີ່ນີ້ລາຄາສີ່ເອີໂຣ"],
    "km": ["ថ្ងៃនេះអាកាសធាតុល្អណាស់", "នំប៉័ងនេះថ្លៃបួនអឺរ៉ូ"],
    "my": ["ဒီနေ့ရာသီဥတုအရမ်းကောင်းတယ်", "ဒီပေါင်မုန့်ကလေးယူရိုကျပါတယ်"],
    "bo": ["དེ་རིང་གནམ་གཤིས་ཡག་པོ་འདུག", "བག་ལེབ་འདི་ལ་སྒོར་བཞི་རེད"],
}
TOKENIZERS: dict[str, BleuTokenizer] = {
    "zh": "zh",
    "zh-TW": "zh",
    "ja": "ja-mecab",
    "ko": "ko-mecab",
    "th": "char",
    "lo": "char",
    "km": "char",
    "my": "char",
    "bo": "char",
}


def bleu(hypotheses: list[str], references: list[str], tokenizer: BleuTokenizer) -> float:
    scores = score_corpus(
        hypotheses, [references], metrics=["bleu"], tokenizer=tokenizer, bootstrap=0
    )
    return scores["bleu"].value


@pytest.mark.parametrize("language", TEXTS)
def test_equal_texts_score_100_and_nearly_equal_ones_less(language: str) -> None:
    right = TEXTS[language]
    tokenizer = bleu_tokenizer("auto", language, ())
    assert tokenizer == TOKENIZERS[language]
    assert bleu(right, right, tokenizer) == pytest.approx(100)
    near = [right[0], right[1][:-3]]
    assert 50 < bleu(near, right, tokenizer) < 100
    expected = sacrebleu.corpus_bleu(near, [right], tokenize=tokenizer).score
    assert bleu(near, right, tokenizer) == expected
    if tokenizer == "char":  # what this is for
        assert bleu(right, right, "13a") == 0


@pytest.mark.parametrize("language", TEXTS)
def test_the_letters_of_the_references_tell_an_unknown_language(language: str) -> None:
    assert bleu_tokenizer("auto", "", TEXTS[language]) == TOKENIZERS[language]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["Das ist gut.", "好"], "13a"),
        (["这家の店很好。我们常常去那里吃饭喝茶。"], "zh"),
        (["カタカナ"], "ja-mecab"),
        (["東京の人口"], "ja-mecab"),
        (["韓國 사람들은 김치를 좋아한다"], "ko-mecab"),
        (["هذا جيد", "यह अच्छा है"], "13a"),
        (["123 , . !", ""], "13a"),
        ([], "13a"),
    ],
)
def test_the_script_of_most_letters_counts(texts: list[str], expected: str) -> None:
    assert bleu_tokenizer("auto", "", texts) == expected


@pytest.mark.parametrize(
    ("language", "expected"),
    [("dz", "char"), ("yue", "zh"), ("shn", "char"), ("zh-Latn", "13a")]
    + [(language, "13a") for language in ("de", "en-GB", "pt-BR", "ru", "ar", "hi", "vi", "he")],
)
def test_other_languages_go_by_their_script(language: str, expected: str) -> None:
    assert bleu_tokenizer("auto", language, TEXTS["th"]) == expected


def test_a_choice_is_a_choice() -> None:
    assert bleu_tokenizer("intl", "zh", TEXTS["zh"]) == "intl"


def test_european_languages_score_as_ever() -> None:
    right = ["Das Haus ist rot, nicht blau.", "„Gut“, sagte sie: 3.5 Äpfel!", "The U.S. won't."]
    near = ["Das Haus ist rot und blau.", "„Gut“, sagte er: 3.5 Äpfel!", "The U.S. wouldn't."]
    expected = sacrebleu.BLEU()
    for language in ("de", "en"):
        metric = make_bleu(bleu_tokenizer("auto", language, ()))
        assert (
            metric.corpus_score(near, [right]).score == expected.corpus_score(near, [right]).score
        )
        assert str(metric.get_signature()) == str(expected.get_signature())
    assert bleu(near, right, "13a") == sacrebleu.corpus_bleu(near, [right]).score


def flores(folder: Path) -> subprocess.CompletedProcess[str]:
    """dragoman-evaluate with flores200, the model in `folder` if at all, and no network."""
    (folder / "out.en").write_text("a small house in the street\n")
    command = [sys.executable, "-m", "training.evaluate", "--hypotheses", "out.en"]
    return subprocess.run(
        [*command, "--reference", "out.en", "--tokenize", "flores200", "--bootstrap", "0"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SACREBLEU": str(folder)}
        | {"https_proxy": "http://127.0.0.1:9", "no_proxy": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_model_of_flores200_is_used_where_it_is(
    tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    place = tmp_path / "models" / "flores200sacrebleuspm"
    done = flores(tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("dragoman-evaluate: error: tokenize: flores200 needs a model. ")
    assert f"{place} is missing or damaged, and https://" in done.stderr
    assert "Put the model there, or use another tokenizer." in done.stderr
    shutil.rmtree(place.parent)
    place.parent.mkdir()
    place.write_bytes(b"<html>")
    assert f"{place} is missing or damaged" in flores(tmp_path).stderr
    place.write_bytes(tiny_tokenizer.model)
    done = flores(tmp_path)
    assert done.returncode == 0
    assert "tok:flores200" in done.stdout
