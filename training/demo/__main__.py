"""`make demo`: shows the translator in the box, then how one is trained.

The second half generates a corpus, trains a small translator on it, scores and tries it.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from model.cli.command import run_command
from model.drawing.attention_plot import save_attention
from model.errors import ConfigError
from model.io.lines import atomic_output
from model.translation.assemble import Translation
from model.translator import Translator
from training.config.train_config import load_config
from training.demo.demo_corpus import DemoPair, generate
from training.demo.model_in_box import END, NAME, translate_sentences
from training.system.distributed import World
from training.train import train

CONFIG = Path("configs/demo.yaml")
RUN = Path("runs/demo")
PAGE = "http://127.0.0.1:8000/"  # the default address of dragoman-serve
TRAIN_PAIRS, DEV_PAIRS, HELD_OUT_PAIRS = 12_000, 200, 500
SHOWN = 10  # translations that are printed
LABELS = ("train", "dev", "held-out")


def write_corpus(folder: Path) -> list[DemoPair]:
    """Write train, dev and held-out files into `folder` and return the held-out pairs.

    The dev sentences do not occur in training, but their values do. Settings are chosen on them,
    never on the held-out pairs.
    """
    corpus = generate(1, TRAIN_PAIRS + DEV_PAIRS, HELD_OUT_PAIRS)
    parts = (corpus.train[:TRAIN_PAIRS], corpus.train[TRAIN_PAIRS:], corpus.held_out)
    folder.mkdir(parents=True, exist_ok=True)
    for name, pairs in zip(LABELS, parts, strict=True):
        for language, lines in (
            ("de", [pair.source for pair in pairs]),
            ("en", [pair.target for pair in pairs]),
        ):
            with atomic_output(folder / f"{name}.{language}") as file:
                file.write("".join(f"{line}\n" for line in lines).encode())
    return corpus.held_out


def show(console: Console, pairs: Sequence[DemoPair], translations: Sequence[Translation]) -> None:
    """Print sources and translations, with the reference where a translation differs from it."""
    for pair, translation in zip(pairs, translations, strict=True):
        right = translation.text == pair.target
        console.print(f"  {pair.source}", style="dim", highlight=False, markup=False)
        mark = "=" if right else "x"
        console.print(f"{mark} {translation.text}", highlight=False, markup=False)
        if not right:
            console.print(f"  expected: {pair.target}", highlight=False, markup=False)


def save_picture(translation: Translation, path: Path) -> None:
    """Draw the attention of a translation as a PNG file."""
    best = translation.hypotheses[0]
    assert best.weights is not None  # a demo sentence is never cut
    pieces = [*translation.source_pieces, END], [*best.pieces, END]
    save_attention(*pieces, best.weights, path, title=best.translation)


def demo() -> int:
    """Run the demo from the project's root and return its exit status."""
    console = Console()
    started = time.monotonic()
    config = load_config(CONFIG)
    assert config.data.data_dir is not None
    translate_sentences(console)
    held_out = write_corpus(config.data.data_dir)
    console.print(
        f"\nHow one is trained: {TRAIN_PAIRS:,} generated training pairs and {HELD_OUT_PAIRS} "
        "held-out pairs whose numbers, dates and amounts occur in none of them: "
        f"{config.data.data_dir}",
        highlight=False,
    )
    try:
        status = train(config, RUN, resume=(RUN / "last").exists(), world=World(), started=started)
    except ConfigError as error:
        raise ConfigError(f"{error} Or remove {RUN} for a new demo.") from None
    if status:
        return status
    translator = Translator.load(RUN)
    translations = translator.search([pair.source for pair in held_out])
    exact = sum(t.text == pair.target for t, pair in zip(translations, held_out, strict=True))
    console.print(f"\nThe first {SHOWN} of {HELD_OUT_PAIRS} held-out sentences:\n")
    show(console, held_out[:SHOWN], translations[:SHOWN])
    save_picture(translations[0], RUN / "attention.png")
    console.print(f"\nThe attention of the first of them: {RUN / 'attention.png'}", highlight=False)
    console.print(
        f"\nExact match on {HELD_OUT_PAIRS} held-out sentences: "
        f"{100 * exact / HELD_OUT_PAIRS:.1f} % ({time.monotonic() - started:.0f} s in all)\n\n"
        "What next:\n"
        f"  echo 'Was machst du morgen?' | .venv/bin/dragoman-translate {NAME}\n"
        f"  echo 'Das Brot kostet 4,20 Euro.' | .venv/bin/dragoman-translate {RUN}\n"
        "  .venv/bin/dragoman-train --help          train on two text files of your own\n"
        f"  .venv/bin/dragoman-serve {NAME} {RUN}   then open {PAGE} and try both",
        highlight=False,
    )
    return 0


def main() -> int:
    """Run the command and return its exit status."""
    return run_command("make demo", demo)


if __name__ == "__main__":
    sys.exit(main())
