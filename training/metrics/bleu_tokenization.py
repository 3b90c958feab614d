"""Tokenization of BLEU: the tokenizer of sacrebleu that suits the language.

BLEU counts words. A line of a script that is written without spaces is one word to the tokenizers
for European languages, so that two different lines share none and equal ones score 0.
"""

import http.client
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from model.errors import ConfigError
from model.text.languages import script_of

if TYPE_CHECKING:
    import sacrebleu

BleuTokenizer = Literal["13a", "intl", "zh", "ja-mecab", "ko-mecab", "char", "flores200"]
"""Tokenizers of sacrebleu that may be chosen, by their names there."""

BleuTokenization = Literal["auto", "13a", "intl", "zh", "ja-mecab", "ko-mecab", "char", "flores200"]
"""A tokenizer, or auto for the one that suits the language."""

CHOICES: tuple[str, ...] = get_args(BleuTokenization)

BY_SCRIPT: dict[str, BleuTokenizer] = {
    "Hans": "zh",
    "Hant": "zh",
    "Jpan": "ja-mecab",
    "Kore": "ko-mecab",
    "Thai": "char",
    "Laoo": "char",
    "Khmr": "char",
    "Mymr": "char",
    "Tibt": "char",
}
"""Tokenizer for the script of a language (ISO 15924); 13a for any other."""

SCRIPT_OF_LETTERS = {
    "CJK": "Hans",  # traditional or not is the same to BLEU
    "HIRAGANA": "Jpan",
    "KATAKANA": "Jpan",
    "HANGUL": "Kore",
    "THAI": "Thai",
    "LAO": "Laoo",
    "KHMER": "Khmr",
    "MYANMAR": "Mymr",
    "TIBETAN": "Tibt",
}
"""The script of a letter by the first word of its name in Unicode."""

KANA = 0.1
"""Share of kana in Japanese text, at least: about half is usual. Chinese has but a few in names."""


def bleu_tokenizer(
    choice: BleuTokenization, language: str, references: Iterable[str]
) -> BleuTokenizer:
    """Choose the tokenizer, if `auto` leaves it open.

    Args:
        language: the tag of the target language; where it is "", the script of the most letters of
            the references tells the tokenizer.
    """
    if choice != "auto":
        return choice
    script = script_of(language) if language else _script_of_most(references)
    return BY_SCRIPT.get(script, "13a")


def make_bleu(tokenizer: BleuTokenizer, *, effective_order: bool = False) -> "sacrebleu.BLEU":
    """Make the metric, whose signature names the tokenizer.

    Args:
        effective_order: leave out orders of n-grams that are longer than the text, as a sentence
            that is scored alone needs it.

    Raises:
        ConfigError: the model of flores200 is not here and cannot be downloaded.
    """
    import sacrebleu  # takes 0.1 s, which reading a config should not

    try:
        return sacrebleu.BLEU(tokenize=tokenizer, effective_order=effective_order)
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        if tokenizer != "flores200":
            raise
        raise ConfigError(_no_model(error)) from None


def _no_model(error: Exception) -> str:
    from sacrebleu.tokenizers.tokenizer_spm import SPM_MODELS
    from sacrebleu.utils import SACREBLEU_DIR

    url = SPM_MODELS["flores200"]["url"]
    path = Path(SACREBLEU_DIR, "models", Path(url).name)
    return (
        f"tokenize: flores200 needs a model. {path} is missing or damaged, and {url} could not be "
        f"downloaded ({' '.join(str(error).split())}). Put the model there, or use another "
        "tokenizer."
    )


def _script_of_most(texts: Iterable[str]) -> str:
    """Return the most frequent script of the letters if it is one of `BY_SCRIPT`, else ""."""
    letters: Counter[str] = Counter()
    for text in texts:
        letters.update(text)
    scripts = Counter({"": 0})  # the first of equal ones
    for letter, count in letters.items():
        if letter.isalpha():
            first = unicodedata.name(letter, "").partition(" ")[0]
            scripts[SCRIPT_OF_LETTERS.get(first, "")] += count
    kana = scripts.pop("Jpan", 0)
    east = scripts.pop("Hans", 0) + kana  # Japanese has both
    scripts["Jpan" if kana > KANA * east else "Hans"] = east
    return max(scripts, key=scripts.__getitem__)
