"""The data of a training from vectors to vectors."""

from model.vectors.vector_form import VectorForm
from training.config.train_config import TrainConfig
from training.vectors.ready_data import ReadyData, digests_of
from training.vectors.vector_batch import VectorRows
from training.vectors.vector_corpus import learned, normalised, read_corpora, statistics_of
from training.vectors.vector_evaluation import vector_evaluation
from training.vectors.vector_loss import VectorObjective


def vector_data(config: TrainConfig) -> ReadyData:
    """Read the pairs of `config`.

    Raises:
        DataError: see `read_corpora` and `statistics_of`.
    """
    train = read_corpora(config.data.train, config, "train", most=config.model.max_length)
    dev = read_corpora([config.data.dev], config, "dev", most=None)
    form, kind = vector_form(config), config.target.loss or "mse"
    lesson, examination = learned(train, form), learned(dev, form)
    source = statistics_of(lesson.sources, "source")
    target = statistics_of(lesson.targets, "target")
    rows, dev_rows = (
        VectorRows(normalised(one.sources, source), normalised(one.targets, target))
        for one in (lesson, examination)
    )
    most = max(map(len, dev.sources))
    return ReadyData(
        rows=rows,
        reports={"train": train.report, "dev": dev.report},
        digests=digests_of(train.digest(), dev.digest()),
        statistics=source.named("source") | target.named("target"),
        vocabulary=form,
        search=form.search,
        objective=VectorObjective(kind=kind),
        dev_size=len(dev.sources),
        validation=config.validation,
        evaluate=vector_evaluation(dev, dev_rows, form, None, loss=kind, most=most),
    )


def vector_form(config: TrainConfig) -> VectorForm:
    """The form of the outputs that `config` asks for."""
    windows = config.data.windows
    return VectorForm(
        steps=config.target.steps,
        differences=config.target.differences,
        scaled_by=windows.places if windows and windows.scale == "window" else (),
        window=windows.series_window if windows else None,
    )
