"""The first half of the demo: the German-English translator in the box, on real sentences."""

from dataclasses import replace

from rich.console import Console

from model.checkpoint.pretrained import FOLDER
from model.drawing.attention_plot import AttentionHeatMap
from model.translator import Translator

NAME = "de-en"
END = "</s>"
SENTENCES = (
    "Kannst du mir bitte helfen?",
    "Wir sind zu Hause geblieben, weil es geregnet hat.",
    "Wo ist der Bahnhof? Ich habe es eilig.",
    "ich weiss nicht was du meinst",
)
"""Whole sentences, two at once, and one as people type."""


def translate_sentences(console: Console) -> None:
    """Print each sentence, its translation, and the attention between them."""
    console.print(
        f"{NAME}, a translator that comes with Dragoman. Below each translation: from which piece "
        "of the source (column) each of its pieces (row) was read.",
        highlight=False,
    )
    translator = Translator.load(FOLDER / f"{NAME}.dragoman")
    whole = replace(translator.options, split_sentences="never")  # parts would have no weights
    for sentence, translation in zip(SENTENCES, translator.search(SENTENCES, whole), strict=True):
        console.print(f"\n  {sentence}", style="dim", highlight=False, markup=False)
        console.print(f"= {translation.text}\n", highlight=False, markup=False)
        best = translation.hypotheses[0]
        assert best.weights is not None, "none of the sentences is cut"
        # Which source piece (column) each target piece (row) was read from.
        pieces = [*translation.source_pieces, END], [*best.pieces, END]
        console.print(AttentionHeatMap(*pieces, best.weights))
