"""RUN/report.html: one self-contained page about a run, which needs no network."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from model.io.lines import atomic_output
from model.text.printable import printable
from training.config.train_config import TrainConfig, load_config
from training.metrics.names import LABELS
from training.tracking.attention_svg import attention_svg
from training.tracking.curves import PANELS, Mark, draw
from training.tracking.elapsed import Elapsed, clock, elapsed
from training.tracking.fine_tuning import advice, changes, finite, recorded_before
from training.tracking.html_parts import facts, folded, section, shown, table
from training.tracking.metrics_log import Line, read_metrics, series
from training.tracking.run_record import CorpusRow, RunRecord, SampleRow, Visit, read_record
from training.tracking.spike_list import headline, spike_id, spike_list
from training.validation.best import rank

NAME = "report.html"

STYLE = """\
:root { color-scheme: light dark; --paper: #fcfcfa; --ink: #1d2430; --soft: #5d6675;
  --line: #dfe2e6; --c1: #1f6fb5; --c2: #c65a06; --c3: #7f9fc0; --c4: #2f8a4d; --c5: #8a4fb0; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171c; --ink: #e6e8eb; --soft: #9aa3b0;
  --line: #2c323b; --c1: #6cb2f2; --c2: #f2a25c; --c3: #6f8fae; --c4: #73c98f; --c5: #c79be6; } }
body { margin: 0 auto; padding: 1.5rem; max-width: 72rem; background: var(--paper);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.6rem; } h2 { margin: 2.2rem 0 0.6rem; font-size: 1.1rem; }
p, dd, .number { font-variant-numeric: tabular-nums; }
.curves { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(21rem, 100%), 1fr));
  gap: 1.2rem; align-items: end; }
figure { margin: 0; } figure p, .soft, dt, th { color: var(--soft); }
figcaption { display: flex; flex-wrap: wrap; gap: 0 1rem; font-size: 0.9rem; }
.key::before { content: ""; display: inline-block; width: 0.9em; height: 3px; margin-right: 0.4em;
  vertical-align: middle; background: currentColor; }
.curves svg { width: 100%; height: auto; } svg text { fill: var(--soft); }
.grid { stroke: var(--line); } polyline { fill: none; stroke: currentColor; stroke-width: 1.5; }
circle { fill: currentColor; } .thin polyline { stroke-width: 0.6; }
.thin circle, .thin polyline, .key.thin::before { opacity: 0.65; }
.key.thin::before { height: 1px; } .mark { fill: var(--c2); } a { color: var(--c1); }
.attention rect { fill: currentColor; } .attention .frame { fill: none; stroke: var(--line); }
:target { outline: 2px solid var(--c1); outline-offset: 4px; }
.c1 { color: var(--c1); } .c2 { color: var(--c2); } .c3 { color: var(--c3); }
.c4 { color: var(--c4); } .c5 { color: var(--c5); }
table { border-collapse: collapse; } .wide { overflow-x: auto; }
th, td { padding: 0.2rem 0.9rem 0.2rem 0; text-align: left; border-bottom: 1px solid var(--line);
  font-weight: 400; } .number { text-align: right; } .best td { font-weight: 650; }
dl { display: grid; grid-template-columns: fit-content(30%) 1fr; gap: 0.15rem 1rem; margin: 0; }
dd { margin: 0; overflow-wrap: anywhere; }
.sample { margin: 0 0 1rem; padding: 0 0 1rem; border-bottom: 1px solid var(--line); }
pre { padding: 0.8rem 1rem; border: 1px solid var(--line); border-radius: 6px; overflow-x: auto;
  font-size: 0.82rem; } summary { cursor: pointer; } code { overflow-wrap: anywhere; }
"""


def save_report(run: Path) -> None:
    """Write the page from the files of the run directory.

    Raises:
        CheckpointError: metrics.jsonl or record.json is damaged.
        ConfigError: config.yaml is.
        DataError: the page cannot be written.
    """
    config = load_config(run / "config.yaml")
    page = report_page(
        printable(run.resolve().name),
        config,
        (run / "config.yaml").read_text(encoding="utf-8"),
        read_metrics(run / "metrics.jsonl"),
        read_record(run),
    )
    with atomic_output(run / NAME) as file:
        file.write(page.encode())


def report_page(
    name: str, config: TrainConfig, config_text: str, lines: Sequence[Line], record: RunRecord
) -> str:
    """Build the HTML of the page."""
    metric = config.validation.best
    time = elapsed(lines, record["visits"])
    marks = [Mark(spike["step"], headline(spike), spike_id(spike)) for spike in record["spikes"]]
    curves = "".join(draw(panel, lines, elapsed=time, marks=marks) for panel in PANELS)
    parts = [
        f"<h1>{escape(name)}</h1><p class=soft>{escape(_summary(config, lines))}</p>",
        f'<div class="curves">{curves}</div>',
        _below_curves(time, marks),
        section("Fine-tuning", _fine_tuning(config, lines)),
        section("Validations", _validations(lines, metric, time)),
        section("Updates that stand out", spike_list(record["spikes"])),
        section(f"Samples, step {record['sample_step']:,}", _samples(record["samples"])),
        section("Attention of the samples", _attention(record["samples"])),
        section("Time", _time(time, record["visits"])),
        section("Data", _corpora(record["corpora"])),
        section("Where it ran", _visits(record["visits"])),
        section("Config", folded("config.yaml", f"<pre>{escape(config_text)}</pre>")),
    ]
    title = f"<title>{escape(name)}: Dragoman training</title>"
    head = '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    head += '<meta name="viewport" content="width=device-width, initial-scale=1">'
    head += f"{title}<style>{STYLE}</style></head>"
    return f"{head}<body>{''.join(parts)}</body></html>\n"


def best_line(lines: Iterable[Line], metric: str) -> Line | None:
    """Find the best validation by `metric`, the first of equal ones."""
    measured = [line for line in lines if isinstance(line.get(f"dev_{metric}"), int | float)]
    return max(
        measured, key=lambda line: rank(metric, _number(line, f"dev_{metric}")), default=None
    )


def _number(line: Line, name: str) -> float:
    value = line[name]
    assert isinstance(value, int | float)
    return value


def _summary(config: TrainConfig, lines: Sequence[Line]) -> str:
    """Describe progress, best validation and mean speed of the run."""
    steps, _ = series(lines, "step")
    done = f"{max(steps, default=0):,}"
    if config.run.max_steps is not None:
        words = [f"{done} of {config.run.max_steps:,} steps"]
    else:
        words = [f"{done} steps within {config.run.max_minutes:g} minutes"]
    metric = config.validation.best
    if best := best_line(lines, metric):
        value = _figure(best, f"dev_{metric}")
        words.append(f"best {LABELS[metric]} {value} at step {best['step']:,}")
    rates = [series(lines, f"{side}_tokens_per_s")[1] for side in ("source", "target")]
    if all(rates):
        source, target = (sum(rate) / len(rate) for rate in rates)
        words.append(f"{source:,.0f} + {target:,.0f} source + target pieces/s on average")
    _, skipped = series(lines, "skipped_updates")
    if skipped and skipped[-1]:
        words.append(f"{skipped[-1]:,.0f} updates skipped, loss or gradient not finite")
    _, rollbacks = series(lines, "rollbacks")
    if rollbacks and rollbacks[-1]:
        words.append(f"returned {rollbacks[-1]:,.0f} times to an earlier state, as it diverged")
    return "; ".join(words) + "."


def _below_curves(time: Elapsed | None, marks: Sequence[Mark]) -> str:
    """Say what the axis and the triangles mean."""
    words = "Across: steps"
    if time:
        words += ", and below them the time since the start, with validations, without pauses"
    if marks:
        words += ". A triangle points at an update that stands out; click it"
    return f"<p class=soft>{words}.</p>"


def _validations(lines: Sequence[Line], metric: str, time: Elapsed | None) -> str:
    """Make a table of all validations, the best one marked, and the signatures below it."""
    measured = [line for line in lines if "dev_loss" in line]
    best = best_line(lines, metric)
    names = ["dev_loss", "dev_ppl", *(f"dev_{name}" for name in LABELS)]
    names = [name for name in dict.fromkeys(names) if any(name in line for line in measured)]
    head = ["step", *(LABELS.get(name[4:], "perplexity") for name in names)]
    rows = [
        ([f"{line['step']:,}", *(_figure(line, name) for name in names)], line is best)
        for line in measured
    ]
    if time:
        head.append("time")
        seconds = (at for line, (_, at) in zip(lines, time.points, strict=True) if line in measured)
        for (cells, _), passed in zip(rows, seconds, strict=True):
            cells.append(clock(passed))
    signatures = {
        f"{LABELS[name]}: {line[f'{name}_signature']}": None
        for line in measured
        for name in LABELS
        if f"{name}_signature" in line
    }
    codes = "".join(f"<br><code>{escape(text)}</code>" for text in signatures)
    return table(head, rows) + f"<p class=soft>Best by {LABELS[metric]}: in bold.{codes}</p>"


def _fine_tuning(config: TrainConfig, lines: Sequence[Line]) -> str:
    """Make a table of what the best validation has changed; nothing if it was none."""
    best = best_line(lines, config.validation.best)
    found = recorded_before(lines)
    if best is None or not found:
        return ""
    rows = changes(config.validation.metrics, found, finite(best))
    cells = [
        ([row.label, f"{row.before:.2f}", f"{row.after:.2f}", f"{row.change:+.2f}"], False)
        for row in rows
    ]
    told = "".join(f"<p>{escape(line)}</p>" for line in advice(rows))
    return table(["", "before", "after", "change"], cells) + told


def _figure(line: Line, name: str) -> str:
    value = line.get(name)
    digits = 3 if name == "dev_loss" else 2
    return f"{value:.{digits}f}" if isinstance(value, int | float) else ""


def _samples(samples: Sequence[SampleRow]) -> str:
    return "".join(
        f'<dl class="sample" id="sample-{number}">'
        + facts(
            {
                "source": sample["source"],
                "output": sample["translation"],
                "reference": sample["reference"],
            }
        )
        + (
            f'<dt>attention</dt><dd><a href="#attention-{number}">which source pieces each '
            "piece of the output was read from</a></dd>"
            if sample.get("attention")
            else ""
        )
        + "</dl>"
        for number, sample in enumerate(samples, 1)
    )


def _attention(samples: Sequence[SampleRow]) -> str:
    """Draw the attention of each sample, with a link back to it."""
    return "".join(
        f'<figure id="attention-{number}"><figcaption><a href="#sample-{number}">'
        f"{shown(sample['translation'])}</a></figcaption>"
        f'<div class="wide">{attention_svg(attention, label=f"Attention of sample {number}")}'
        "</div></figure>"
        for number, sample in enumerate(samples, 1)
        if (attention := sample.get("attention"))
    )


def _time(time: Elapsed | None, visits: Sequence[Visit]) -> str:
    """Tell begin, end and duration of the run."""
    if time is None:
        return ""
    values = {
        "start": _moment(time.started),
        "end": _moment(time.ended),
        "starts and resumptions": f"{len(visits):,}",
        "elapsed, without pauses": clock(time.total),
    }
    if time.validation is not None:
        values["of that, training"] = clock(time.total - time.validation)
        values["of that, validations"] = clock(time.validation)
    return f"<dl>{facts(values)}</dl>"


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _corpora(corpora: Sequence[CorpusRow]) -> str:
    """Make a table of the corpora: lines, kept, left out for each reason, mean lengths."""
    reasons = list(dict.fromkeys(reason for row in corpora for reason in row["dropped"]))
    head = ["", "lines", "kept", *reasons, "source pieces a line", "target pieces a line"]
    rows = []
    for row in corpora:
        counts = [row["lines"], row["kept"], *(row["dropped"].get(r, 0) for r in reasons)]
        means = [f"{row['source_pieces']:.1f}", f"{row['target_pieces']:.1f}"]
        rows.append(([row["name"], *(f"{count:,}" for count in counts), *means], False))
    return table(head, rows) if rows else ""


def _visits(visits: Sequence[Visit]) -> str:
    """Show the last start or resumption, and fold earlier ones."""
    starts = [
        "<dl>" + facts({"began": _began(visit), **visit["facts"], **visit["git"]}) + "</dl>"
        for visit in visits
    ]
    earlier = "".join(f"{one}<hr>" for one in starts[:-1])
    hidden = folded(f"Earlier starts: {len(starts) - 1}", earlier) if earlier else ""
    return "".join(starts[-1:]) + hidden


def _began(visit: Visit) -> str:
    when = datetime.fromtimestamp(visit["time"], UTC)
    return f"{when:%Y-%m-%d %H:%M} UTC, after step {visit['step']:,}"
