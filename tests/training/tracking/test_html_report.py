"""The report of a run: one page that holds everything, and nothing that it was not given."""

import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import pytest

from model.checkpoint.checkpoint import load_checkpoint
from model.errors import CheckpointError
from model.text.printable import printable
from training.config.train_config import load_config
from training.tracking.html_report import best_line, report_page, save_report
from training.tracking.metrics_log import Line, read_metrics
from training.tracking.run_record import PairRow, SampleRow, SpikeRow, read_record
from training.train import main

VOID = {"meta", "br", "hr"}


class Element(NamedTuple):
    """A tag with what is in it."""

    tag: str
    attributes: dict[str, str | None]
    words: list[str]

    @property
    def text(self) -> str:
        return "".join(self.words)


class Page(HTMLParser):
    """A report as a browser reads it: all elements in order, each closed where it should be."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(html)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs), [])
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, dict(attrs), []))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.words.append(data)

    def texts(self, tag: str) -> list[str]:
        """The text in each element of this tag."""
        return [element.text for element in self.elements if element.tag == tag]

    def terms(self) -> list[tuple[str, str]]:
        """Each dt with its dd."""
        return list(zip(self.texts("dt"), self.texts("dd"), strict=True))


WRITTEN = "<script>alert('x')</script> & <b>rot</b>"


@pytest.fixture
def finished(tiny_config: Path, tmp_path: Path) -> Path:
    """A run of 4 steps, resumed up to 8, whose first dev pair and whose name look like HTML."""
    for language in ("de", "en"):
        path = tmp_path / f"dev.{language}"
        path.write_text(f"{WRITTEN}\n{path.read_text(encoding='utf-8')}", encoding="utf-8")
    config = tiny_config.read_text(encoding="utf-8")
    tiny_config.write_text(config.replace("nobody", "'<i>nobody</i>'"), encoding="utf-8")
    dev = "data.dev={source: dev.de, target: dev.en}"
    run = tmp_path / "a <i>run"
    for end in (["run.max_steps=4"], ["--resume", "run.max_steps=8"]):
        assert main([str(tiny_config), "--output", str(run), *end, dev]) == 0
    return run


def test_the_page_of_a_run_holds_all_of_it_and_needs_nothing_else(finished: Path) -> None:
    html = (finished / "report.html").read_text(encoding="utf-8")
    page = Page(html)

    tags = {element.tag for element in page.elements}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    names = {name for element in page.elements for name in element.attributes}
    assert not {n for n in names if n.startswith("on")} and not names & {"src", "style"}
    links = {element.attributes["href"] for element in page.elements if element.tag == "a"}
    ids = {
        f"#{element.attributes['id']}" for element in page.elements if "id" in element.attributes
    }
    assert links and links <= ids
    assert not [e for e in page.elements if "href" in e.attributes and e.tag != "a"]
    (style,) = page.texts("style")
    assert not re.search(r"url\(|@import|https?:", style)

    assert page.texts("h1") == ["a <i>run"]
    assert page.texts("title")[0] == "a <i>run: Dragoman training"
    assert page.texts("h2") == [
        *("Validations", "Samples, step 8", "Attention of the samples", "Time"),
        *("Data", "Where it ran", "Config"),
    ]
    assert len(page.texts("svg")) == 6 + 3 and "no values yet" not in html
    assert page.texts("pre") == [(finished / "config.yaml").read_text(encoding="utf-8")]
    assert not tags & {"i", "script"}

    terms = page.terms()
    assert terms[:3:2] == [("source", WRITTEN), ("reference", WRITTEN)]
    assert terms[3][0] == "attention"
    samples = read_record(finished)["samples"]
    assert terms[1] == ("output", printable(samples[0]["translation"])) and len(samples) == 3
    began = [text for name, text in terms if name == "began"]
    assert [text.split("UTC, ")[1] for text in began] == ["after step 4", "after step 0"]
    facts = dict(terms)
    assert "290 pieces" in facts["model"]
    assert {"precision", "processes", "Python", "torch", "processor", "device"} <= set(facts)


def test_the_tables_say_what_was_measured(finished: Path) -> None:
    lines = read_metrics(finished / "metrics.jsonl")
    page = Page((finished / "report.html").read_text(encoding="utf-8"))

    validations = [line for line in lines if "dev_loss" in line]
    rows = page.texts("tr")
    assert rows[0] == "steplossperplexityBLEUchrFtime"
    for row, line in zip(rows[1:3], validations, strict=True):
        figures = [f"{line[name]:.2f}" for name in ("dev_ppl", "dev_bleu", "dev_chrf")]
        values = "".join([str(line["step"]), f"{line['dev_loss']:.3f}", *figures])
        assert re.fullmatch(re.escape(values) + r"\d:\d\d:\d\d", row)
    (best,) = (e.text for e in page.elements if e.attributes.get("class") == "best")
    assert best.startswith(str(load_checkpoint(finished).step))
    assert f"BLEU: {validations[0]['bleu_signature']}" in page.texts("code")
    assert f"chrF: {validations[0]['chrf_signature']}" in page.texts("code")
    assert rows[3].startswith("lineskept")
    assert rows[4].startswith("train6060") and rows[5].startswith("dev99")
    summary = next(e.text for e in page.elements if e.attributes.get("class") == "soft")
    assert summary.startswith("8 of 8 steps; best BLEU ")
    speeds = [line for line in lines if "source_tokens_per_s" in line]
    mean = sum(float(str(line["source_tokens_per_s"])) for line in speeds) / len(speeds)
    assert f"; {mean:,.0f} + " in summary


def test_a_report_that_is_gone_is_written_again_and_a_damaged_record_is_named(
    finished: Path, tmp_path: Path
) -> None:
    page = (finished / "report.html").read_bytes()
    (finished / "report.html").unlink()
    save_report(finished)
    assert (finished / "report.html").read_bytes() == page

    named = tmp_path / os.fsdecode(b"run\xff")  # a directory may have any bytes as its name
    shutil.copytree(finished, named, symlinks=True)
    save_report(named)
    assert "run\\udcff" in (named / "report.html").read_text(encoding="utf-8")

    (finished / "record.json").write_bytes(b"{")
    with pytest.raises(CheckpointError, match=r"record\.json: damaged"):
        save_report(finished)
    (finished / "record.json").unlink()
    save_report(finished)
    left = Page((finished / "report.html").read_text(encoding="utf-8"))
    assert left.texts("h2") == ["Validations", "Config"]


LINES: list[Line] = [
    {"step": 10, "dev_loss": 3.0, "dev_bleu": 5.0},
    {"step": 20, "dev_loss": 2.0, "dev_bleu": 7.0},
    {"step": 30, "dev_loss": None, "dev_bleu": 7.0},
    {"step": 30, "nll": 9.0},
]


@pytest.mark.parametrize(("metric", "step"), [("bleu", 20), ("loss", 20), ("chrf", None)])
def test_the_best_validation_is_the_first_of_equal_ones(metric: str, step: int | None) -> None:
    best = best_line(LINES, metric)

    assert (best and best["step"]) == step
    assert best_line([], metric) is None


def test_trouble_is_in_the_summary(finished: Path) -> None:
    """Counts that are 0 in a good run, and a run that no validation ended."""
    lines: list[Line] = [{"step": 5, "skipped_updates": 3.0, "rollbacks": 2.0}]
    config = load_config(finished / "config.yaml")
    page = report_page("run", config, "", lines, read_record(finished))
    (summary, *_) = Page(page).texts("p")
    assert summary == (
        "5 of 8 steps; 3 updates skipped, loss or gradient not finite; "
        "returned 2 times to an earlier state, as it diverged."
    )
    assert "skipped" not in (finished / "report.html").read_text(encoding="utf-8")


def test_updates_that_stand_out_are_marked_and_listed_and_text_cannot_steer_the_page(
    finished: Path,
) -> None:
    steering = "<b>\u202e'\"\n\x1b"
    pair = PairRow(
        corpus=steering,
        number=7,
        source=steering,
        target=steering,
        source_pieces=3,
        target_pieces=4,
        nll=8.0,
    )
    record = read_record(finished)
    record["samples"] = [SampleRow(source=steering, reference=steering, translation=steering)]
    record["spikes"] = [
        SpikeRow(
            step=6,
            kind="loss",
            nll=9.0,
            gradient_norm=3.0,
            usual=2.0,
            excess=None,
            target_pieces=11,
            pairs={steering: [7]},
            hardest=pair,
            longest=pair,
        )
    ]
    config = load_config(finished / "config.yaml")
    html = report_page("run", config, "", read_metrics(finished / "metrics.jsonl"), record)
    page = Page(html)

    links = [e.attributes["href"] for e in page.elements if e.tag == "a"]
    assert links == ["#spike-6", "#spike-6"]  # in the panels of loss and gradient
    (entry,) = (e for e in page.elements if e.attributes.get("id") == "spike-6")
    assert entry.text.startswith("step 6: loss 9.00, median before it 2.00")
    spelled = r"""<b>\u202e'"\n\x1b"""
    assert dict(page.terms())["hardest pair"].startswith(f"{spelled}, pair 7: 8.00 nats")
    terms = page.terms()
    assert ("source", spelled) in terms and (spelled, "7") in terms
    assert not set("\u202e\x1b") & set(html)


def test_the_time_of_a_run_and_of_its_validations(finished: Path) -> None:
    page = Page((finished / "report.html").read_text(encoding="utf-8"))
    terms = dict(page.terms())

    def seconds(name: str) -> int:
        hours, minutes, rest = map(int, terms[name].split(":"))
        return 3600 * hours + 60 * minutes + rest

    assert terms["starts and resumptions"] == "2"
    first, second = read_record(finished)["visits"]
    total = sum(visit["saved"]["time"] - visit["time"] for visit in (first, second))
    assert seconds("elapsed, without pauses") == round(total)
    lines = read_metrics(finished / "metrics.jsonl")
    measured = sum(float(str(line["dev_seconds"])) for line in lines if "dev_seconds" in line)
    assert seconds("of that, validations") == round(measured) and measured > 0
