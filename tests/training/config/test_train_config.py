"""The training config: what it accepts, and what it says when it refuses."""

import dataclasses
import re
from pathlib import Path

import pytest
import yaml

from model.config import to_dict
from model.errors import ConfigError, DataError
from training.config.data_config import CorpusConfig
from training.config.train_config import TrainConfig, load_config, parse_config, save_config

TEXT = """
data:
  train: [{source: a.de, target: a.en}]
  dev: {files: b.tsv}
  source_language: de
  target_language: en
  license: CC0
run: {max_steps: 10}
optimizer: {warmup_steps: 5}
model: {encoder_size: 64, decoder_size: 64}
tokenizer: {vocab_size: 500}
"""


def test_defaults_and_vocabulary_of_the_tokenizer() -> None:
    config = parse_config(TEXT)
    assert config.model.vocab_size == 500
    assert config.run.max_steps == 10
    assert config.optimizer.schedule == "cosine"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("run.max_step=5", "Did you mean 'max_steps'"),
        ("model.dropuot=0.1", "Did you mean 'dropout'"),
        ("run.max_steps=ten", "must be a whole number"),
        ("run.max_steps=true", "must be a whole number"),
        ("run.max_steps=0", "Use 1 or more"),
        ("optimizer.learning_rate=1e-3", "write 0.001"),
        ("optimizer.schedule=linear", "Choose one of: cosine, inverse_sqrt"),
        ("model.dropout=1.5", "not in 0 to 0.9"),
        ("model.encoder_size=63", "is odd"),
        ("model.attention_heads=3", "does not divide"),
        ("model.vocab_size=9", "it follows tokenizer.vocab_size"),
        ("search.beam_size=0", "beam_size"),
        ("shortlist.candidates=-1", "shortlist.candidates: -1 is too small. Use 0 or more"),
        ("tokenizer.vocab_size=0", "tokenizer.vocab_size: 0 is too small"),
        ("shortlist.max_links=0", "Use 1 or more"),
        ("shortlist.candidate=5", "Did you mean 'candidates'"),
        ("run.truncated_bptt=-1", "run.truncated_bptt: -1 is negative. Use 0 or more"),
        ("run.truncated_bptt=101", "is above model.max_length 100, so no source would be divided"),
        ("objective.rdrop=-1", "objective.rdrop: -1.0 is not in 0 to 100"),
        ("objective.distillation=0.5", "without objective.teacher it has no effect"),
        ("objective.teacher=[a]", "without objective.distillation it has no effect"),
        ("objective.teacher=a", "must be a list"),
        ("objective.scheduled_sampling=2", "not in 0 to 1"),
        ("objective.risk=meteor", "Choose one of: bleu, chrf, rouge"),
        ("objective.risk_samples=1", "not in 2 to 64"),
        ("objective.risk_sharpness=0", "not above 0"),
        ("finetune.freeze=[encoder.*]", "random weights would stay as they are"),
        ("optimizer.warmup_steps=11", "above run.max_steps 10"),
        ("data.train=[{source: x}]", "needs both source and target"),
        (
            "data.train=[{source: x, target: y, files: z}]",
            "source and target, or files, or dataset",
        ),
        ("data.train=[{}]", "data.train[0]: a corpus has source and target, or files"),
        ("data.train=[{files: x, weight: 0}]", "data.train[0].weight: 0.0 must be above 0"),
        ("data.train=[{files: x, tag: a b}]", "Use one word"),
        ("data.train=[{files: x, tag: back}]", "'back' is an ordinary word"),
        ("data.train=[{source: x, target: y, weight_column: 3}]", "have no columns"),
        ("data.train=[{files: x, sourcecolumn: 1}]", "Did you mean 'source_column'"),
        ("data.train=[{files: x, source_column: 0}]", "source_column: 0 is too small"),
        ("data.train=[{files: x, weight_column: -1}]", "weight_column: -1 is too small"),
        ("data.train=[{files: x, split: test}]", "are for a dataset"),
        ("data.train=[{source: x, target: y, dataset_config: z}]", "are for a dataset"),
        ("data.train=[{files: x, weight: much}]", "data.train[0].weight: 'much' is not allowed"),
        ("data.train=[{files: x, wieght: 2}]", "data.train[0].wieght: unknown key. Did you mean"),
        ("data.filters.max_ration=3", "Did you mean 'max_ratio'"),
        ("data.filters.duplicates=1", "must be true or false"),
        ("data.filters=3", "must be a mapping"),
        ("objective.r_drop=5", "Did you mean 'rdrop'"),
        ("objective.rdrop=.nan", "nan is not in 0 to 100"),
        ("objective.rdrop=strong", "must be a number"),
        ("validation.metrics=[blue]", "Choose one of: bleu, chrf"),
        ("validation.metric=[bleu]", "Did you mean 'metrics'"),
        ("validation.metrics=bleu", "must be a list"),
        ("validation.tokenize=mecab", "Choose one of: auto, 13a, intl, zh, ja-mecab, ko-mecab,"),
        ("data.train=[x]", "must be a mapping"),
        ("data.train=x", "must be a list"),
        ("data.train=[]", "Name a corpus at least"),
        ("data.dev={files: x, weight: 2}", "weights are for training"),
        ("data.temperature=0", "must be above 0"),
        ("data.joined=1", "no share"),
        ("data.noise=-0.1", "no share"),
        ("data.filters.max_ratio=0.5", "Use 0 (off), or 1"),
        ("max_steps=5", "section.key=value"),
        ("run.max_steps", "section.key=value"),
        ("run.max_steps.x=5", "not a section"),
        ("optimiser.ema=0.9", "Did you mean 'optimizer'"),
    ],
)
def test_refusals_name_the_mend(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_config(TEXT, [override])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_loss_of_risk_alone_leaves_nothing_to_other_terms() -> None:
    with pytest.raises(ConfigError, match="leaves nothing to rdrop"):
        parse_config(TEXT, ["objective.risk_weight=1", "objective.rdrop=1"])
    assert parse_config(TEXT, ["objective.risk_weight=1"]).objective.risk_weight == 1


@pytest.mark.parametrize("name", ["rdrop=5", "variational_dropout=true"])
def test_objectives_of_dropout_need_dropout(name: str) -> None:
    without = ["model.dropout=0", "model.embedding_dropout=0"]
    with pytest.raises(ConfigError, match="no effect without dropout"):
        parse_config(TEXT, [f"objective.{name}", *without])
    assert parse_config(TEXT, [f"objective.{name}", "model.dropout=0"]).objective


@pytest.mark.parametrize("text", ["", "[1, 2]", "a: [", "run: {max_steps: 5}"])
def test_not_a_config(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_config(text)


def test_missing_file_names_the_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="absent"):
        load_config(tmp_path / "absent.yaml")


def test_resolved_config_reads_back_equal() -> None:
    config = parse_config(TEXT, ["model.cell=gru", "optimizer.ema=0.5"])
    values = to_dict(config)
    values["model"] = {k: v for k, v in to_dict(config.model).items() if k != "vocab_size"}
    assert parse_config(yaml.safe_dump(values)) == config


def test_relative_paths_start_at_data_dir_or_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    config = parse_config(TEXT)
    monkeypatch.delenv("DRAGOMAN_DATA", raising=False)
    with pytest.raises(DataError, match="DRAGOMAN_DATA, without these in the current folder"):
        config.data.path(Path("absent.de"))
    monkeypatch.setenv("DRAGOMAN_DATA", "corpora")
    assert config.data.path(Path("a.de")) == Path("corpora/a.de")
    config = parse_config(TEXT, ["data.data_dir=elsewhere"])
    assert config.data.path(Path("a.de")) == Path("elsewhere/a.de")


def flatten(values: dict[str, object], prefix: str = "") -> set[str]:
    names: set[str] = set()
    for key, value in values.items():
        nested = isinstance(value, dict)
        names |= flatten(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}"}  # type: ignore[arg-type]
    return names


@pytest.mark.parametrize(
    "name",
    [
        "arxiv_titles",
        "cmudict_g2p",
        "de_en",
        "demo",
        "en_de",
        "frames_to_distance",
        "multi30k_en_de",
        "multi30k_en_de_small",
        "rewrites",
        "sentence_compression",
        "tatoeba_de_en",
        "traffic",
    ],
)
def test_shipped_configs_load_and_comment_every_key(name: str) -> None:
    path = Path(__file__).parents[3] / "configs" / f"{name}.yaml"
    config = load_config(path)
    assert isinstance(config, TrainConfig)
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.lstrip().startswith("#") and not line.rstrip().endswith(":"):
            assert "#" in line, f"no comment: {line}"


def test_one_config_shows_every_key() -> None:
    path = Path(__file__).parents[3] / "configs" / "multi30k_en_de.yaml"
    shown = flatten(yaml.safe_load(path.read_text(encoding="utf-8")))
    known = flatten(to_dict(load_config(path)))
    optional = {
        "model.vocab_size",
        "model.source_width",
        "model.target_width",
        "finetune.init_from",
        "finetune.old_dev",
        "run.max_minutes",
        "data.data_dir",
        "data.cache_dir",
        "data.windows",
        "tokenizer.model",
        *(f"{side}.{key}" for side in ("source", "target") for key in ("unit", "loss", "length")),
    }
    assert {key for key in known - optional if not key.startswith("data.dev.")} <= shown


def test_one_config_names_every_key_of_a_corpus() -> None:
    path = Path(__file__).parents[3] / "configs" / "multi30k_en_de.yaml"
    text = path.read_text(encoding="utf-8")
    for field in dataclasses.fields(CorpusConfig):
        assert re.search(rf"^    [- ] (# )?{field.name}: .*#", text, flags=re.MULTILINE), field.name


def test_one_name_or_several_and_a_number_or_a_name_survive_a_round_trip() -> None:
    given = "[{files: [a.tsv, b.tsv], source_column: 2, target_column: de}]"
    config = parse_config(TEXT, [f"data.train={given}"])
    assert config.data.train[0].files == (Path("a.tsv"), Path("b.tsv"))
    assert (config.data.train[0].source_column, config.data.train[0].target_column) == (2, "de")
    assert config.data.dev.files == Path("b.tsv")
    values = to_dict(config)
    values["model"] = {k: v for k, v in to_dict(config.model).items() if k != "vocab_size"}
    assert parse_config(yaml.safe_dump(values)) == config


def test_globs_are_sorted_and_must_mean_something(tmp_path: Path) -> None:
    config = parse_config(TEXT, [f"data.data_dir={tmp_path}"])
    for name in ("b.de", "a.de", "c.en"):
        (tmp_path / name).write_text("x\n")
    found = config.data.paths((Path("*.de"), Path("c.en")))
    assert [path.name for path in found] == ["a.de", "b.de", "c.en"]
    for absent in ("*.fr", "d.de"):
        with pytest.raises(DataError, match="Check the"):
            config.data.paths(Path(absent))


def test_a_single_corpus_and_the_key_tsv_of_older_configs_mean_the_same_as_today() -> None:
    today = parse_config(TEXT, ["data.train=[{files: a.tsv}]", "data.dev={files: b.tsv}"])
    assert parse_config(TEXT, ["data.train={tsv: a.tsv}", "data.dev={tsv: b.tsv}"]) == today
    pair = "{source: a, target: b}"
    assert parse_config(TEXT, [f"data.train={pair}"]) == parse_config(
        TEXT, [f"data.train=[{pair}]"]
    )


def test_metrics_follow_the_task_and_are_stored(tmp_path: Path) -> None:
    config = parse_config(TEXT, ["data.task=summarize"])
    assert config.validation.metrics == ("rouge_1", "rouge_2", "rouge_l")
    assert config.validation.best == "rouge_l"
    save_config(config, tmp_path / "config.yaml")
    stored = yaml.safe_load((tmp_path / "config.yaml").read_text(encoding="utf-8"))
    assert stored["validation"]["best"] == "rouge_l"
    assert load_config(tmp_path / "config.yaml") == config
    assert parse_config(TEXT).validation.metrics == ("bleu", "chrf")
    asked = ["validation.metrics=[chrf]", "validation.best=chrf", "data.task=summarize"]
    assert parse_config(TEXT, asked).validation.metrics == ("chrf",)
    with pytest.raises(ConfigError, match=r"bleu is not computed\. Use loss or one of .* rouge_1"):
        parse_config(TEXT, ["validation.best=bleu", "data.task=summarize"])
