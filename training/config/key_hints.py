"""Key hints: what an unknown key of a config most likely means here."""

import dataclasses
import typing
from collections.abc import Mapping, Sequence

from model.text.nearest import nearest

MEANINGS: Mapping[str, tuple[str, ...]] = {
    "Here the corpora are 'data.train', a list such as [{source: FILE, target: FILE}].": (
        *("src", "tgt", "trg", "source", "target", "sources", "targets", "src_train", "tgt_train"),
        *("train_src", "train_tgt", "train_file", "train_files", "train_data", "training_data"),
        *("train_path", "train_set", "train_sets", "trainpref", "corpus", "corpora", "corpus_1"),
        *("path_src", "path_tgt", "train_features_file", "train_labels_file"),
    ),
    "Here its settings are in 'optimizer' and 'run', and its corpora are 'data.train'.": (
        "training",
        "trainer",
    ),
    "Here the validation set is 'data.dev', such as {source: FILE, target: FILE}.": (
        *("valid", "val", "validation", "valid_src", "valid_tgt", "valid_sets", "validpref"),
        *("dev_src", "dev_tgt", "validation_file", "val_data", "valid_data", "dev_data"),
        *("validation_data", "validation_set", "dev_set", "eval_data", "eval_features_file"),
    ),
    "Here it is 'data.source_language'.": (
        *("src_lang", "source_lang", "source_language", "lang_src", "from"),
    ),
    "Here it is 'data.target_language'.": (
        *("tgt_lang", "trg_lang", "target_lang", "target_language", "lang_tgt", "to"),
    ),
    "Here it is 'data.license'.": ("licence",),
    "Here it is 'data.joined'.": ("docify", "concatenate", "concat", "join_sentences"),
    "Here it is 'data.noise'.": ("typos", "source_noise", "augmentation", "upper_corpus_ratio"),
    "Here it is 'data.data_dir'.": ("data_path", "data_folder", "root", "base_dir"),
    "Here it is 'model.copy'.": (
        *("copy_attn", "copy_attention", "pointer_gen", "pointer_generator", "copying", "pointer"),
    ),
    "Here it is 'model.coverage', with 'objective.coverage' for its loss.": (
        *("coverage_attn", "coverage_attention", "is_coverage", "use_coverage", "lambda_coverage"),
        *("cov_loss_wt",),
    ),
    "Here it is 'model.max_length', in pieces.": (
        *("max_len", "max_seq_len", "max_seq_length", "max_sent_length", "max_sentence_length"),
        *("max_sequence_length", "src_seq_length", "tgt_seq_length", "max_source_length"),
        *("max_target_length", "max_source_positions", "max_target_positions"),
    ),
    "Here it is 'tokenizer.vocab_size', of both languages.": (
        *("vocab_size", "src_vocab_size", "tgt_vocab_size", "vocab_sizes", "dim_vocabs"),
        *("vocabulary_size", "voc_limit", "num_words", "src_words_min_frequency"),
    ),
    "Here it is 'tokenizer.model', or learned from the training text.": (
        *("src_vocab", "tgt_vocab", "vocab", "vocabs", "vocabulary", "voc_file", "srcdict"),
        *("spm", "sentencepiece", "subword", "subwords", "bpe", "codes", "bpe_codes"),
        *("src_subword_model", "tgt_subword_model", "tokenizer_file", "model_file"),
    ),
    "Here it is 'tokenizer.kind'.": ("src_subword_type", "tgt_subword_type", "subword_type"),
    "Here it is 'tokenizer.sampling'.": (
        *("bpe_dropout", "subword_alpha", "src_subword_alpha", "sentencepiece_alphas"),
    ),
    "Here they are 'model.encoder_size' and 'model.decoder_size'.": (
        *("hidden_size", "hidden_dim", "hidden", "hid_dim", "rnn_size", "units", "num_units"),
        *("d_model", "dim_rnn", "dim", "lstm_size", "lstm_units", "n_hidden", "hidden_units"),
        *("width", "latent_dim", "state_size", "model_dim"),
    ),
    "Here it is 'model.encoder_size'.": (
        *("encoder_hidden_size", "enc_hid_dim", "enc_rnn_size", "encoder_hidden_dim", "enc_size"),
    ),
    "Here it is 'model.decoder_size'.": (
        *("decoder_hidden_size", "dec_hid_dim", "dec_rnn_size", "decoder_hidden_dim", "dec_size"),
    ),
    "Here they are 'model.encoder_layers' and 'model.decoder_layers'.": (
        *("num_layers", "n_layers", "layers", "depth", "num_hidden_layers", "number_of_layers"),
    ),
    "Here it is 'model.encoder_layers'.": (
        "enc_layers",
        "enc_depth",
        "encoder_depth",
        "enc_n_layers",
    ),
    "Here it is 'model.decoder_layers'.": (
        "dec_layers",
        "dec_depth",
        "decoder_depth",
        "dec_n_layers",
    ),
    "Here they are 'model.encoder_size' and 'model.encoder_layers'.": ("encoder", "enc"),
    "Here they are 'model.decoder_size' and 'model.decoder_layers'.": ("decoder", "dec"),
    "Here it is 'model.embedding_size'.": (
        *(
            "embed_dim",
            "embedding_dim",
            "emb_dim",
            "emb_size",
            "embed_size",
            "dim_emb",
            "embeddings",
        ),
        *("word_vec_size", "src_word_vec_size", "tgt_word_vec_size", "encoder_embed_dim"),
        *("decoder_embed_dim", "embeddings_size", "word_embedding_size", "output_dim"),
    ),
    "Here it is 'model.cell'.": (
        "rnn_type",
        "cell_type",
        "enc_cell",
        "dec_cell",
        "rnn",
        "encoder_type",
    ),
    "Here it is 'model.attention'.": (
        *("global_attention", "attention_type", "attn", "attn_type", "attention_mechanism"),
    ),
    "Here it is 'model.attention_heads'.": ("heads", "num_heads", "n_heads", "attn_heads"),
    "Here it is 'model.input_feeding'.": ("input_feed", "input_feeding_approach"),
    "Here it is 'model.tie_embeddings'.": (
        *(
            "share_embeddings",
            "tied_embeddings",
            "tied_embeddings_all",
            "tied_softmax",
            "tie_weights",
        ),
        *("share_all_embeddings", "share_decoder_embeddings", "share_decoder_input_output_embed"),
        *("tie_word_embeddings",),
    ),
    "Here it is 'model.dropout'.": (
        *("drop", "dropout_rate", "dropout_rnn", "hidden_dropout", "dropout_p", "drop_prob"),
        *("recurrent_dropout", "attention_dropout", "encoder_dropout", "decoder_dropout"),
    ),
    "Here it is 'model.embedding_dropout'.": ("embed_dropout", "emb_dropout", "dropout_emb"),
    "Here it is 'model.word_dropout'.": ("dropout_src", "dropout_trg", "token_dropout"),
    "Here it is 'optimizer.learning_rate'.": (
        *(
            "lr",
            "alpha_lr",
            "learn_rate",
            "initial_lr",
            "base_lr",
            "max_lr",
            "peak_lr",
            "step_size",
        ),
    ),
    "Here it is 'optimizer.schedule'.": (
        *("lr_scheduler", "scheduler", "scheduling", "decay_method", "lr_decay", "decay"),
        *("learning_rate_decay", "lr_scheduler_type", "lr_schedule", "lr_decay_inv_sqrt"),
        *("start_decay_steps", "decay_steps", "learning_rate_schedule", "min_lr"),
    ),
    "Here it is 'optimizer.warmup_steps'.": (
        *("warmup", "warm_up", "warmup_updates", "lr_warmup", "num_warmup_steps", "warmup_ratio"),
        *("learning_rate_warmup", "warmup_init_lr", "warmup_epochs"),
    ),
    "Here it is 'optimizer.clip_norm'.": (
        *("grad_clip", "clip", "clip_grad", "clip_grad_norm", "max_grad_norm", "gradient_clip"),
        *("gradient_clipping", "clipnorm", "gradient_clip_val", "clip_grad_val", "clipping"),
    ),
    "Here it is 'optimizer.weight_decay'.": ("l2", "wd", "regularization", "l2_regularization"),
    "Here it is 'optimizer.label_smoothing'.": (
        "smoothing",
        "label_smooth",
        "label_smoothing_factor",
    ),
    "Here it is 'optimizer.ema'.": (
        *("exponential_smoothing", "average_decay", "ema_decay", "moving_average_decay"),
    ),
    "Here it is 'run.max_steps', in updates.": (
        *("epochs", "epoch", "max_epochs", "max_epoch", "num_epochs", "n_epochs", "after_epochs"),
        *("num_train_epochs", "train_steps", "steps", "updates", "max_updates", "max_update"),
        *("num_steps", "total_steps", "max_train_steps", "after_batches", "after", "iterations"),
    ),
    "Here it is 'run.batch_tokens', in pieces.": (
        *("batch_size", "batch", "batchsize", "max_tokens", "mini_batch", "mini_batch_words"),
        *("minibatch_size", "per_device_train_batch_size", "train_batch_size", "batch_type"),
        *("max_sentences", "words_per_batch", "maxi_batch", "mini_batch_fit"),
    ),
    "Here it is 'run.accumulate'.": (
        *("accum_count", "update_freq", "gradient_accumulation_steps", "batch_multiplier"),
        *("optimizer_delay", "accumulation_steps", "accumulate_grad_batches", "grad_accum"),
    ),
    "Here it is 'run.truncated_bptt', in source pieces.": (
        *("bptt", "tbptt", "bptt_len", "bptt_length", "bprop_len", "truncated_bptt_steps"),
        *("tbptt_length", "truncate_gradient", "truncated_bptt_size"),
    ),
    "Here it is 'run.eval_every', in updates.": (
        *("valid_steps", "valid_freq", "validation_freq", "eval_steps", "validate_interval"),
        *("save_checkpoint_steps", "save_freq", "save_steps", "save_every", "save_interval"),
        *("validate_interval_updates", "eval_freq", "val_check_interval", "checkpoint_every"),
        *("evaluation_strategy", "eval_interval", "validate_every"),
    ),
    "Here it is 'run.log_every'.": (
        *("report_every", "logging_freq", "disp_freq", "logging_steps", "log_interval", "log_freq"),
    ),
    "Here it is 'run.keep'.": (
        *("keep_checkpoint", "keep_best_ckpts", "keep_last_ckpts", "save_total_limit"),
        *("keep_last_epochs", "keep_checkpoints", "max_to_keep"),
    ),
    "Here it is 'run.patience', in validations.": (
        *("early_stopping", "early_stop", "early_stopping_patience", "early_stopping_steps"),
    ),
    "Here it is 'run.seed'.": ("random_seed", "manual_seed", "rng_seed"),
    "Here it is 'run.threads'.": ("num_threads", "cpu_threads", "cores", "num_cores"),
    "Here it is 'run.device'.": (
        *(
            "gpu",
            "gpus",
            "cuda",
            "use_cuda",
            "use_gpu",
            "gpu_ranks",
            "world_size",
            "devices",
            "cpu",
        ),
        *("device_id", "gpu_id", "accelerator"),
    ),
    "Here it is 'run.precision'.": (
        "fp16",
        "bf16",
        "amp",
        "dtype",
        "mixed_precision",
        "model_dtype",
    ),
    "Here it is 'run.sample_lines'.": ("print_valid_sents", "n_samples"),
    "Here it is 'validation.metrics'.": (
        *("eval_metrics", "eval_metric", "valid_metrics", "train_metrics", "eval_bleu", "scorers"),
    ),
    "Here it is 'validation.best'.": (
        *("best_checkpoint_metric", "metric_for_best_model", "early_stopping_criteria"),
        *("early_stopping_metric", "monitor", "best_metric"),
    ),
    "Here it is 'search.beam_size'.": ("beam", "beams", "num_beams", "beam_width", "k"),
    "Here it is 'search.alpha', with 'search.length_penalty'.": (
        "lenpen",
        "normalize",
        "len_pen",
        "beam_alpha",
    ),
    "Here they are 'search.max_length_a' and 'search.max_length_b'.": (
        *("max_output_length", "max_len_a", "max_len_b", "max_new_tokens", "max_length_factor"),
    ),
    "Here it is 'search.no_repeat_ngram'.": ("no_repeat_ngram_size", "block_ngram_repeat"),
    "Here it is 'search'.": (
        "testing",
        "decode",
        "decoding",
        "generate",
        "generation",
        "beam_search",
        "inference",
    ),
    "Here it is 'finetune.init_from'.": (
        *(
            "train_from",
            "load_model",
            "pretrained",
            "pretrained_model",
            "restore_file",
            "init_model",
        ),
        *("finetune_from_model", "model_name_or_path", "checkpoint", "from_pretrained"),
    ),
    "Here it is 'finetune.freeze'.": (
        "freeze_encoder",
        "freeze_decoder",
        "frozen",
        "freeze_layers",
    ),
    "Here it is 'objective.teacher'.": ("teacher_model", "distill", "kd"),
    "Here it is 'objective.guided_alignment'.": (
        "lambda_align",
        "alignment",
        "guided_alignment_weight",
    ),
    "Leave it out: of texts, the encoder always reads in both directions.": (
        *("brnn", "bi", "bridge", "bidirectional_encoder", "num_directions"),
    ),
    "Leave it out: it is always AdamW.": (
        "optim",
        "optimiser_type",
        "algorithm",
        "adam_betas",
        "betas",
    ),
    "Leave it out: the command takes --output RUN.": (
        *(
            "save_model",
            "save_dir",
            "output_dir",
            "model_dir",
            "output",
            "log_dir",
            "run_dir",
            "out_dir",
        ),
        *("checkpoint_dir", "save_data", "experiment", "tensorboard_log_dir", "tensorboard"),
    ),
    "Leave it out: the command takes --resume.": (
        "resume",
        "resume_from",
        "resume_from_checkpoint",
        "overwrite",
    ),
    "Leave it out: the pairs are always shuffled.": ("shuffle", "bucket_size", "no_shuffle"),
    "Leave it out: the loss is always the cross entropy.": ("loss", "criterion", "loss_function"),
}
"""What to say of the names that other tools have for a setting, or that people make up."""

CORPUS: Mapping[str, tuple[str, ...]] = {
    "Did you mean 'source'?": (
        *("src", "path_src", "source_file", "src_file", "source_path", "features", "input", "from"),
        *("sources", "text"),
    ),
    "Did you mean 'target'?": (
        *("tgt", "trg", "path_tgt", "target_file", "tgt_file", "target_path", "labels", "to"),
        *("reference", "references", "ref", "targets", "output"),
    ),
    "Did you mean 'files'?": (
        "tsv",
        "jsonl",
        "csv",
        "parquet",
        "json",
        "path",
        "paths",
        "filename",
    ),
    "Did you mean 'dataset'?": ("name", "hub", "huggingface", "dataset_name", "hf"),
    "Did you mean 'dataset_config'?": ("config", "subset", "dataset_config_name", "config_name"),
    "Did you mean 'source_column'?": ("src_column", "source_field", "source_key", "source_col"),
    "Did you mean 'target_column'?": ("tgt_column", "target_field", "target_key", "target_col"),
    "Did you mean 'tag'?": ("prefix", "src_prefix", "token", "label"),
}
"""The same for the keys of a corpus."""


def key_hint(where: str, key: str, known: Sequence[str], sections: Mapping[str, type]) -> str:
    """What to write in place of `key`; "" if nothing comes to mind.

    Args:
        where: dotted path of the mapping that it stands in, which ends in a dot; "" at the top.
        known: keys of that mapping.
        sections: by their names, the dataclasses whose fields are the keys of a section.
    """
    plain = key.lower().replace("-", "_")
    if plain in known:
        return f"Did you mean {plain!r}?"
    in_corpus = where.startswith(("data.train[", "data.dev."))
    keys = {
        f"{section}.{field.name}": field.name
        for section, cls in sections.items()
        for field in dataclasses.fields(typing.cast(typing.Any, cls))
        if f"{section}." != where and (section, field.name) != ("model", "vocab_size")
    }
    exact = [path for path, name in keys.items() if name == plain]
    if exact and not in_corpus:
        return _guess(exact)
    for table in (CORPUS,) if in_corpus else (MEANINGS,):
        for meaning, names in table.items():
            if plain in names:
                return meaning
    if near := nearest(key, known):
        return _guess(near)
    elsewhere = set(nearest(key, set(keys.values())))
    return _guess([path for path, name in keys.items() if name in elsewhere])


def _guess(names: Sequence[str]) -> str:
    return f"Did you mean {' or '.join(map(repr, names))}?" if names else ""
