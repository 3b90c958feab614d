"""Key hints: plausible wrong keys, each with the key that must be named, and none that misleads."""

import re
from dataclasses import fields
from typing import get_type_hints

import pytest

from model.errors import ConfigError
from training.config.data_config import CorpusConfig
from training.config.key_hints import CORPUS, MEANINGS
from training.config.train_config import TrainConfig, parse_config

TEXT = """
data: {train: [{source: a.de, target: a.en}], dev: {files: b.tsv}}
run: {max_steps: 10}
"""

WRONG = {
    # OpenNMT-py
    "model.rnn_size": ("model.encoder_size", "model.decoder_size"),
    "model.word_vec_size": ("model.embedding_size",),
    "model.enc_layers": ("model.encoder_layers",),
    "model.brnn": ("both directions",),
    "model.rnn_type": ("model.cell",),
    "model.global_attention": ("model.attention",),
    "model.input_feed": ("model.input_feeding",),
    "run.train_steps": ("run.max_steps",),
    "run.valid_steps": ("run.eval_every",),
    "run.report_every": ("run.log_every",),
    "run.accum_count": ("run.accumulate",),
    "optimizer.max_grad_norm": ("optimizer.clip_norm",),
    "optimizer.decay_method": ("optimizer.schedule",),
    "run.save_model": ("--output",),
    # fairseq
    "run.max_update": ("run.max_steps",),
    "run.max_tokens": ("run.batch_tokens",),
    "run.update_freq": ("run.accumulate",),
    "optimizer.lr": ("optimizer.learning_rate",),
    "optimizer.lr_scheduler": ("optimizer.schedule",),
    "optimizer.clip_grad": ("optimizer.clip_norm",),
    "model.share_all_embeddings": ("model.tie_embeddings",),
    "search.lenpen": ("search.alpha", "search.length_penalty"),
    "data.source_lang": ("data.source_language",),
    # JoeyNMT, Marian
    "model.encoder": ("model.encoder_size", "model.encoder_layers"),
    "run.epochs": ("run.max_steps",),
    "run.batch_multiplier": ("run.accumulate",),
    "run.validation_freq": ("run.eval_every",),
    "model.dim_rnn": ("model.encoder_size", "model.decoder_size"),
    "model.dim_emb": ("model.embedding_size",),
    "run.early_stopping": ("run.patience",),
    "run.mini_batch": ("run.batch_tokens",),
    "optimizer.exponential_smoothing": ("optimizer.ema",),
    "data.valid_sets": ("data.dev",),
    "data.train_sets": ("data.train",),
    # Hugging Face, Keras, PyTorch
    "model.hidden_size": ("model.encoder_size", "model.decoder_size"),
    "model.num_layers": ("model.encoder_layers", "model.decoder_layers"),
    "model.bi": ("both directions",),
    "model.units": ("model.encoder_size", "model.decoder_size"),
    "model.embed_dim": ("model.embedding_size",),
    "run.num_train_epochs": ("run.max_steps",),
    "run.per_device_train_batch_size": ("run.batch_tokens",),
    "run.batch_size": ("run.batch_tokens",),
    "run.gradient_accumulation_steps": ("run.accumulate",),
    "optimizer.num_warmup_steps": ("optimizer.warmup_steps",),
    "run.truncated_bptt_steps": ("run.truncated_bptt",),
    "model.bptt": ("run.truncated_bptt",),
    "run.fp16": ("run.precision",),
    "search.num_beams": ("search.beam_size",),
    "search.no_repeat_ngram_size": ("search.no_repeat_ngram",),
    "optimizer.grad_clip": ("optimizer.clip_norm",),
    # The right key in the wrong section, or mistyped
    "model.learning_rate": ("optimizer.learning_rate",),
    "optimizer.max_steps": ("run.max_steps",),
    "model.label_smoothing": ("optimizer.label_smoothing",),
    "run.beam_size": ("search.beam_size",),
    "data.vocab_size": ("tokenizer.vocab_size",),
    "run.temperature": ("data.temperature", "search.temperature"),
    "model.lerning_rate": ("optimizer.learning_rate",),
    "run.max_step": ("max_steps",),
    "model.Encoder-Size": ("encoder_size",),
    "optimizer.warmup": ("optimizer.warmup_steps",),
    "data.dev.src": ("source",),
    "data.dev.reference": ("target",),
    "training.epochs": ("optimizer", "run", "data.train"),
    "decoding.beam": ("search",),
    # Nothing that we have: no guess
    "model.activation": (),
    "model.layer_norm_eps": (),
    "run.hostname": (),
    "search.banana": (),
}


def known_keys() -> set[str]:
    sections = get_type_hints(TrainConfig)
    return set(sections) | {f"{one}.{f.name}" for one in sections for f in fields(sections[one])}


def hint_for(key: str) -> str:
    with pytest.raises(ConfigError) as raised:
        parse_config(TEXT, [f"{key}=1"])
    lines = [line for line in raised.value.lines if "unknown key" in line]
    assert len(lines) == 1
    return lines[0].partition("unknown key. ")[2]


@pytest.mark.parametrize("key", WRONG)
def test_a_wrong_key_names_the_right_one_and_no_other(key: str) -> None:
    hint = hint_for(key)
    if not WRONG[key]:
        assert hint.startswith("Known keys: ")
        return
    named = re.findall(r"'([\w.]+)'|(both directions|--output)", hint)
    assert tuple(key or words for key, words in named) == WRONG[key]


def test_the_tables_name_keys_that_exist_and_no_name_twice() -> None:
    of_corpus = {field.name for field in fields(CorpusConfig)}
    for table, known in ((MEANINGS, known_keys()), (CORPUS, of_corpus)):
        names = [name for several in table.values() for name in several]
        assert sorted(names) == sorted(set(names))
        for meaning in table:
            assert set(re.findall(r"'([\w.]+)'", meaning)) <= known, meaning
