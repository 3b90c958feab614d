"""Noise: each kind against a table, and what becomes of the pairs of a training."""

import io
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from model.text.tokenizer import UNK_ID, Tokenizer
from training.config.train_config import load_config
from training.data.counter_rng import line_keys, splitmix64
from training.data.indexed_corpus import Side
from training.data.learn_tokenizer import make_tokenizer
from training.data.noise import disturb, disturbed
from training.data.training_set import load_training_set, make_loader

KEYS = [int(key) for key in splitmix64(np.arange(4000, dtype=np.uint64))]

GERMAN = "Über 3,5 km, Ö!"
FRENCH = "Là , où ?"


@pytest.mark.parametrize(
    ("text", "language", "forms"),
    [
        (
            GERMAN,
            "de-AT",
            {
                "über 3,5 km, ö!",  # in lower case
                "über 3,5 km, Ö!",  # the first letter only
                "ÜBER 3,5 KM, Ö!",
                "Über 3,5 km, Ö",
                "Über 3,5 km Ö!",  # the comma of the number stays
                "Ueber 3,5 km, Oe!",
                "Über 3,5 km,Ö!",
            },
        ),
        (
            FRENCH,
            "fr",
            {"là , où ?", "LÀ , OÙ ?", "Là , où", "Là où ?", "La , ou ?", "Là ,où ?"},
        ),
        ("ÄSSE", "de", {"ässe", "äSSE", "AESSE"}),
        ("12, 7", "", {"12 7", "12,7"}),
        ("345", "de", {"345"}),
        ("Да.", "ru", {"да.", "ДА.", "Да"}),  # no accent to lose
        ("x ≠ é", "fr", {"X ≠ É", "x ≠ e"}),  # a crossed sign has no accent
        (",", "en", {","}),  # something must remain
    ],
)
def test_each_kind_gives_the_form_in_the_table(text: str, language: str, forms: set[str]) -> None:
    found = {disturb(text, language, key) for key in KEYS[:1000]}
    if text in (GERMAN, "ÄSSE"):  # words of three letters or more may have typos, too
        assert forms < found
        assert all(len(other) - len(text) in range(-2, 3) for other in found - forms)
    else:
        assert found == forms


def test_a_typo_is_a_swap_a_doubled_a_missing_or_a_neighbouring_letter() -> None:
    """By the layout of the language; of the word `zeh` all that one or two typos can do first."""
    one = {
        "zhe",  # swapped
        *("zeeh", "zehh"),
        *("zh", "ze"),
        *("zwh", "zrh", "zsh", "zdh"),  # around e
        *("zeg", "zej", "zez", "zeu", "zeb", "zen"),  # around h on a German keyboard
    }
    found = {disturb("zeh", "de", key) for key in KEYS}
    assert one < found
    typos = {form for form in found if form != "ZEH"}
    assert all(form[0] == "z" for form in typos)
    assert "zey" in {disturb("zeh", "en", key) for key in KEYS}
    assert "zey" not in one & found


def test_kinds_that_change_a_text_are_equally_likely() -> None:
    forms = [disturb("Да.", "ru", key) for key in KEYS]
    for form in ("да.", "ДА.", "Да"):
        share = forms.count(form) / len(forms)
        # both the kinds `lower` and `first` give the first form
        assert share == pytest.approx(0.5 if form == "да." else 0.25, abs=0.03)


@given(st.text(max_size=40), st.sampled_from(["", "de", "fr", "zh"]), st.integers(0, 2**64 - 1))
def test_any_text_has_a_noisy_form_which_its_key_determines(
    text: str, language: str, key: int
) -> None:
    noisy = disturb(text, language, key)
    assert noisy == disturb(text, language, key)
    assert bool(noisy.strip()) == bool(text.strip())


def test_a_source_with_an_unknown_piece_stays_as_it_is() -> None:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["the small dog", "Der Mann sieht"] * 20),
        model_writer=model,
        vocab_size=60,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    tokenizer = Tokenizer(model.getvalue())
    known, unknown = (np.array(tokenizer.encode(x), np.int32) for x in ("small dog", "small 漢"))
    assert UNK_ID in unknown and UNK_ID not in known
    count = 200
    keys = line_keys(1, 6, 0, np.zeros(count, np.uint64), np.arange(count, dtype=np.uint64))
    sources = Side.joined([known, unknown] * (count // 2))
    noisy = disturbed(sources, keys, tokenizer, share=0.99, language="en").split()
    assert all(np.array_equal(ids, unknown) for ids in noisy[1::2])
    assert sum(np.array_equal(ids, known) for ids in noisy[::2]) < 5


@pytest.mark.parametrize("settings", [[], ["tokenizer.sampling=0.3", "data.joined=0.5"]])
def test_a_share_of_the_sources_is_disturbed_and_no_target(
    tiny_config: Path, settings: list[str]
) -> None:
    """Anew in each pass, and the same after a resumption."""
    pairs = [(f"Haus {n}, Hut.", f"House {n}, hat.") for n in range(400)]
    for name, lines in zip(("train.de", "train.en"), zip(*pairs, strict=True), strict=True):
        (tiny_config.parent / name).write_text("".join(f"{line}\n" for line in lines))
    overrides = ["data.noise=0.3", "tokenizer.sampling=0", "model.word_dropout=0", *settings]
    config = load_config(tiny_config, ["tokenizer.vocab_size=auto", *overrides])
    tokenizer = make_tokenizer(config)
    data = load_training_set(config.data, tokenizer, max_length=config.model.max_length)
    loader = make_loader(config, data, tokenizer)
    first = loader.window(0, 0)
    changed, pairs_read = 0, 0
    for source, target in zip(first.sources, first.targets, strict=True):
        text, translation = (tokenizer.decode(side.tolist()) for side in (source, target))
        written = translation.split(" hat.")[:-1]
        numbers = [int(part.split()[-1].strip(",")) for part in written]
        assert translation == " ".join(f"House {n}, hat." for n in numbers)
        assert all(str(n) in text for n in numbers)
        clean = " ".join(f"Haus {n}, Hut." for n in numbers)
        changed += text != clean if len(numbers) == 1 else 0
        pairs_read += len(numbers) == 1
    assert changed / pairs_read == pytest.approx(0.3, abs=0.1)
    texts = [
        sorted(tokenizer.decode(ids.tolist()) for ids in rows.sources)
        for rows in (first, loader.window(1, 0), make_loader(config, data, tokenizer).window(0, 0))
    ]
    assert texts[0] == texts[2] != texts[1]


def test_a_source_made_too_long_stays_as_it_is(tiny_config: Path) -> None:
    """The tokenizer has no capitals: in upper case each letter takes a piece."""
    (tiny_config.parent / "train.de").write_text("haus hut haus hut\n" * 100)
    (tiny_config.parent / "train.en").write_text("house hat house hat\n" * 100)
    overrides = ["data.noise=0.99", "tokenizer.sampling=0", "model.word_dropout=0"]
    config = load_config(tiny_config, ["tokenizer.vocab_size=auto", *overrides])
    tokenizer = make_tokenizer(config)
    longest = len(tokenizer.encode("haus hut haus hut"))

    def seen(most: int) -> set[str]:
        limit = load_config(
            tiny_config, ["tokenizer.vocab_size=auto", f"model.max_length={most}", *overrides]
        )
        data = load_training_set(limit.data, tokenizer, max_length=most)
        rows = make_loader(limit, data, tokenizer).window(0, 0)
        assert max(map(len, rows.sources)) <= most
        return {tokenizer.decode(ids.tolist()) for ids in rows.sources}

    assert "HAUS HUT HAUS HUT" in seen(longest + 40)
    assert "HAUS HUT HAUS HUT" not in seen(
        max(longest, len(tokenizer.encode("house hat house hat")))
    )
