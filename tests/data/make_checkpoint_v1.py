"""How tests/data/checkpoint_v1 was made, once. Never run it again: its worth is that it is old.

A new format gets a script and a frozen checkpoint of its own beside this one.
"""

import json
import tempfile
from pathlib import Path

import torch

from model.checkpoint.checkpoint import save_checkpoint
from model.config import ModelConfig
from model.decoding.options import SearchOptions
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import BOS_ID, EOS_ID, Tokenizer
from training.data.learn_tokenizer import learn_tokenizer

FROZEN = Path(__file__).with_name("checkpoint_v1")

SOURCE = "abba é ☃ ab"
CARD = """# A frozen checkpoint of format 1

Random weights. It shows that later versions of Dragoman read what version 0.1.0 wrote.
"""


def tiny_network(vocab_size: int) -> Seq2Seq:
    """No weight has its initial value; the seed makes greedy search say more than one piece."""
    config = ModelConfig(
        vocab_size=vocab_size,
        embedding_size=4,
        encoder_layers=2,
        encoder_size=4,
        decoder_layers=2,
        decoder_size=4,
        attention_heads=2,
    )
    network = Seq2Seq(config).eval()
    torch.manual_seed(176)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.7)
    return network


@torch.no_grad()
def greedy(network: Seq2Seq, src: list[int], pieces: int) -> tuple[list[int], torch.Tensor]:
    """The first pieces that greedy search chooses, and the logits (T, V) that it chose them by."""
    memory = network.encode(torch.tensor([[*src, EOS_ID]]), torch.tensor([len(src) + 1]))
    state, chosen, logits = network.start(memory), [BOS_ID], []
    for _ in range(pieces):
        state, features, weights = network.step(torch.tensor([chosen[-1:]]), state, memory)
        logits.append(network.log_scores(features, weights, memory)[0, 0])
        chosen.append(int(logits[-1].argmax()))
    return chosen[1:], torch.stack(logits)


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
        )
        directory.rename(FROZEN)
    src = tokenizer.encode(SOURCE)
    pieces, logits = greedy(network, src, pieces=6)
    expected = {
        "source": SOURCE,
        "src": src,
        "greedy": pieces,
        "logits_of_every_tenth_piece": logits[:, ::10].tolist(),
    }
    FROZEN.with_suffix(".json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
