"""Building a session: the parts of a run, each finished before the next that needs it."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from model.decoding.precision.precision import resolve_precision
from model.text.vocabulary import Vocabulary
from training.config.train_config import TrainConfig
from training.data.batch_loader import BatchLoader
from training.data.text_corpus import TextPairs, digest_of, encode_corpus, read_pairs
from training.data.training_set import TrainingSet, even_pairs, load_training_set, make_loader
from training.loop.initialize import new_origin, starting_weights
from training.loop.planner import Planner
from training.loop.resolve_config import resolve_config
from training.loop.resume import (
    SavedState,
    check_same_data,
    check_same_step,
    check_shared_data,
    load_saved_state,
)
from training.loop.rollback import Rollback, good_checkpoints
from training.loop.session import Session
from training.loop.trainer import Trainer
from training.losses.distillation import teacher_digest
from training.losses.make_objective import make_objective
from training.system.distributed import World
from training.system.memory_use import bound_kernel_cache
from training.validation.best import Best


def build_session(
    given: TrainConfig, run: Path, *, resume: bool, world: World, started: float
) -> Session:
    """Read the data, learn or load the tokenizer, build the trainer, and load what `resume` finds.

    Every process must call this. Nothing is written yet. `started` is the time of
    `time.monotonic` from which `run.max_minutes` count.

    Raises:
        ConfigError, DataError, CheckpointError: as their names say.
    """
    bound_kernel_cache()
    torch.set_num_threads(world.threads(given.run.threads))
    device = world.device(given.run.device)
    dev_pairs = read_pairs(given.data.dev, given.data)
    saved = load_saved_state(run) if resume else None
    check_same_step(run, saved.steps if saved else 0, world)

    config, tokenizer = resolve_config(
        given,
        run,
        resume=resume,
        saved=saved,
        dev_targets=dev_pairs.targets,
        device=device,
        world=world,
    )
    weights = _weights(saved, run, config, tokenizer)
    data = load_training_set(
        config.data, tokenizer, max_length=config.model.max_length, world=world
    )
    dev_corpus = encode_corpus(dev_pairs, tokenizer, max_length=None)
    old_pairs = read_pairs(old_dev, config.data) if (old_dev := config.finetune.old_dev) else None
    old_corpus = encode_corpus(old_pairs, tokenizer, max_length=None) if old_pairs else None
    digests = _digests(config, data, dev_pairs, old_pairs, saved=saved, world=world)

    loader = make_loader(config, data, tokenizer, world)
    trainer = _trainer(config, loader, tokenizer, device=device, world=world, weights=weights)
    data_digest = digests["data_digest"]
    session = Session(
        run=run,
        resume=resume,
        world=world,
        config=config,
        tokenizer=tokenizer,
        data=data,
        loader=loader,
        dev_corpus=dev_corpus,
        old_dev_corpus=old_corpus,
        digests=digests,
        origin=saved.origin if saved else new_origin(config.finetune, trainer.network, data_digest),
        trainer=trainer,
        best=Best(config.validation.best),
        rollback=Rollback(trainer, run, world),
        planner=Planner(config.run, world, started=started),
    )
    if saved:
        session.restore(saved.tensors, saved.values)
    session.check_dev_sets()
    return session


def _weights(
    saved: SavedState | None, run: Path, config: TrainConfig, tokenizer: Vocabulary
) -> dict[str, Tensor] | None:
    """Initial weights; a rollback may need the beginning until there is a good checkpoint."""
    replaced = saved is not None and next(good_checkpoints(run), None) is not None
    return None if replaced else starting_weights(config.finetune, config.model, tokenizer)


def _trainer(
    config: TrainConfig,
    loader: BatchLoader,
    tokenizer: Vocabulary,
    *,
    device: torch.device,
    world: World,
    weights: Mapping[str, Tensor] | None,
) -> Trainer:
    """The trainer at step 0, with its objective."""
    links = config.shortlist.max_links
    pairs = partial(even_pairs, loader, most_links=links, sampled=False)
    return Trainer(
        config,
        loader,
        device=device,
        dtype=resolve_precision(config.run.precision, device),
        world=world,
        objective=make_objective(config, pairs, tokenizer, device),
        weights=weights,
    )


def _digests(
    config: TrainConfig,
    data: TrainingSet,
    dev_pairs: TextPairs,
    old_pairs: TextPairs | None,
    *,
    saved: SavedState | None,
    world: World,
) -> dict[str, str]:
    """The values that must agree between a run and its resumption, and between all processes.

    Raises:
        DataError: they do not.
    """
    digests = {
        "data_digest": data.digest(),
        "dev_digest": digest_of(dev_pairs),
        "old_dev_digest": digest_of(old_pairs) if old_pairs else "",
        "teacher_digest": teacher_digest(config.objective.teacher),
    }
    check_shared_data(digests, world)
    if saved:
        check_same_data(digests, saved.values)
    return digests
