"""Several processes: each has its own share of the pairs, and together they have what one has."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PAIRS = 97  # so that the last window of an epoch has one pair: fewer than processes

# What each process holds of the batches of a corpus, for each list of settings: sources, targets,
# weights, inputs and the figures of the whole batch; and what it draws when it goes on from the
# middle.
HELD = """
import itertools, json, os, sys
from pathlib import Path
from training.config.train_config import load_config
from training.data import sampler
from training.data.learn_tokenizer import make_tokenizer
from training.data.position import Position
from training.data.training_set import load_training_set, make_loader
from training.system.distributed import joined

sampler.WINDOW, sampler.BLOCK = 32, 8
path, folder, each = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])

def told(rows):
    sides = (rows.sources, rows.targets, rows.weights, rows.inputs)
    pairs = [[x if isinstance(x, float) else x.tolist() for x in pair] for pair in zip(*sides)]
    figures = rows.lines, rows.source_tokens, rows.target_tokens, rows.target_weight
    return {"pairs": pairs, "figures": figures}

with joined("cpu") as world:
    found = []
    for settings in each:
        config = load_config(path, settings)
        tokenizer = world.shared(lambda: make_tokenizer(config))
        length = config.model.max_length
        data = load_training_set(config.data, tokenizer, max_length=length, world=world)
        loader = make_loader(config, data, tokenizer, world)
        seen = []
        for rows in itertools.islice(loader.batches(), 60):
            seen.append({"position": loader.position, **told(rows)})
            if len(seen) == 9 and world.leads:
                seen[-1]["drawn"] = told(loader.drawn_batch())
        again = make_loader(config, data, tokenizer, world)
        again.position = Position(*seen[6]["position"])
        later = [told(rows) for rows in itertools.islice(again.batches(), 9)]
        sources = [[tokenizer.source.decode(pair[0]) for pair in one["pairs"]] for one in seen]
        targets = [[tokenizer.target.decode(pair[1]) for pair in one["pairs"]] for one in seen]
        found.append({"seen": seen, "later": later, "sources": sources, "targets": targets})
    (folder / f"{world.rank}.json").write_text(json.dumps(found))
"""

PLAIN = ["model.word_dropout=0", "tokenizer.sampling=0.3", "data.length_buckets=2"]
ALL = ["model.word_dropout=0.3", "tokenizer.sampling=0.3", "data.joined=0.3", "data.noise=0.3"]

Held = list[dict[str, Any]]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config of 97 pairs that differ, the last 17 of them in a corpus with a tag."""
    folder = tmp_path_factory.mktemp("planned")
    rows = [f"Haus {n}\thouse {n}{' so' * (n % 4)}\t{n / 100}\n" for n in range(1, PAIRS + 1)]
    (folder / "a.tsv").write_text("".join(rows[:80]))
    (folder / "b.tsv").write_text("".join(rows[80:]))
    columns = "source_column: 1, target_column: 2, weight_column: 3"
    (folder / "config.yaml").write_text(
        "data:\n"
        f"  data_dir: {folder}\n  cache_dir: {folder}/cache\n"
        f"  train: [{{files: a.tsv, {columns}}}, {{files: b.tsv, {columns}, tag: <b>}}]\n"
        f"  dev: {{files: b.tsv, source_column: 1, target_column: 2}}\n"
        "tokenizer: {vocab_size: auto}\n"
        "run: {batch_tokens: 150, max_steps: 9}\n"
    )
    return folder / "config.yaml"


@pytest.fixture(scope="module")
def held(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[Held]]:
    """What each of 1, 2 and 3 processes holds, with PLAIN and with ALL."""
    found = {}
    for size in (1, 2, 3):
        folder = tmp_path_factory.mktemp("held")
        (folder / "held.py").write_text(HELD)
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command += ["--nproc-per-node", str(size), str(folder / "held.py")]
        subprocess.run([*command, str(corpus), str(folder), json.dumps([PLAIN, ALL])], check=True)
        found[size] = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(size)]
    return found


def together(ranks: list[Held], setting: int) -> list[Any]:
    """The batches: the pairs of all processes, one after the other, and the figures of each."""
    batches = zip(*(held[setting]["seen"] for held in ranks), strict=True)
    return [
        (
            [pair for one in batch for pair in one["pairs"]],
            batch[0]["position"],
            batch[0]["figures"],
        )
        for batch in batches
    ]


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 3])
def test_the_processes_have_together_every_pair_once_in_an_epoch(
    held: dict[int, list[Held]], size: int
) -> None:
    """Read off the texts, with no word of the loader's but where an epoch ends."""
    found: list[tuple[str, str]] = []
    counts = []
    for one in (rank[0] for rank in held[size]):
        before = len(found)
        for batch, sources, targets in zip(
            one["seen"], one["sources"], one["targets"], strict=True
        ):
            if batch["position"][0] == 0:
                found += zip(sources, targets, strict=True)
        counts.append(len(found) - before)
    numbers = []
    for source, target in found:
        number = int(source.split()[-1])
        assert target == f"house {number}{' so' * (number % 4)}"
        assert source.endswith(f"Haus {number}") and ("<b>" in source) == (number > 80)
        numbers.append(number)
    assert sorted(numbers) == list(range(1, PAIRS + 1))
    assert max(counts) - min(counts) < PAIRS / size / 2, "each has about as many"


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("setting", [0, 1])
def test_the_batches_are_those_of_one_process(
    held: dict[int, list[Held]], size: int, setting: int
) -> None:
    alone, shared = together(held[1], setting), together(held[size], setting)
    assert alone[-1][1][0] >= 2, "epochs are over"
    assert len({str(batch) for batch in alone}) == 60
    assert shared == alone
    for rank in held[size]:
        assert [one["figures"] for one in rank[setting]["seen"]] == [one[2] for one in alone]


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("setting", [0, 1])
def test_each_goes_on_from_the_middle_of_a_window(
    held: dict[int, list[Held]], size: int, setting: int
) -> None:
    for rank in held[size]:
        seen = [{"pairs": x["pairs"], "figures": x["figures"]} for x in rank[setting]["seen"]]
        assert rank[setting]["later"] == seen[7:16]


@pytest.mark.slow
@pytest.mark.parametrize("setting", [0, 1])
def test_the_first_can_read_the_pairs_of_a_batch_that_others_hold(
    held: dict[int, list[Held]], setting: int
) -> None:
    """As the explanation of a spike does."""
    pairs, _, figures = together(held[3], setting)[8]
    assert held[3][0][setting]["seen"][8]["drawn"] == {"pairs": pairs, "figures": figures}
