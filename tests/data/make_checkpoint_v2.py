"""How tests/data/checkpoint_v2 was made, once. Never run it again: its worth is that it is old.

The network and what is asked of it are those of `make_checkpoint_v1`; new is the profile.
"""

import json
import tempfile
from pathlib import Path

import torch

from model.checkpoint.checkpoint import save_checkpoint
from model.decoding.options import SearchOptions
from model.text.profile import TextProfile
from model.text.tokenizer import Tokenizer
from tests.data.make_checkpoint_v1 import greedy, tiny_network
from training.data.learn_tokenizer import learn_tokenizer

FROZEN = Path(__file__).with_name("checkpoint_v2")

SOURCE = "abba\u00a0é ☃ ab\uff13"  # with a no-break space and a full-width digit
READ_AS = "abba é ☃ ab3"
PROFILE = TextProfile(
    task="translate",
    source_language="de",
    target_language="en",
    normalization=1,
    several_sentences=0.25,
)
CARD = """# A frozen checkpoint of format 2

Random weights. It shows that later versions of Dragoman read what version 0.1.0 wrote, and bring
sources into the form that it learned.
"""


def main() -> None:
    if FROZEN.exists():
        raise SystemExit(f"{FROZEN.name} exists and stays as it is")
    tokenizer = Tokenizer(learn_tokenizer(["ab abba baba é"] * 4, kind="bpe", vocab_size=268))
    network = tiny_network(tokenizer.vocab_size)
    with tempfile.TemporaryDirectory() as run:
        directory = save_checkpoint(
            Path(run),
            1,
            config=network.config,
            weights=dict(network.named_parameters()),
            tokenizer=tokenizer,
            search=SearchOptions(beam_size=3),
            card=CARD,
            training_state={"updates": torch.tensor(1)},
            training_meta={"epoch": 0},
            profile=PROFILE,
        )
        directory.rename(FROZEN)
    src = tokenizer.encode(READ_AS)
    pieces, logits = greedy(network, src, pieces=6)
    expected = {
        "source": SOURCE,
        "read_as": READ_AS,
        "src": src,
        "greedy": pieces,
        "logits_of_every_tenth_piece": logits[:, ::10].tolist(),
    }
    FROZEN.with_suffix(".json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
