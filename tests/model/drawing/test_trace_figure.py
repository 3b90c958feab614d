"""The picture of a trace: what stands where, and files that are equal."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from matplotlib.image import imread

from model.drawing.trace_figure import picture_format, save_trace
from model.errors import ConfigError
from model.network.trace import LayerTrace, Trace
from model.translation.text_trace import TextTrace


def trace_of(source: tuple[str, ...], target: tuple[str, ...]) -> TextTrace:
    torch.manual_seed(0)

    def layer(part: str, direction: str, steps: int) -> LayerTrace:
        return LayerTrace(
            part=part,  # type: ignore[arg-type]
            layer=1,
            direction=direction,  # type: ignore[arg-type]
            inputs=5,
            gates={"reset": torch.rand(steps, 40)},
            hidden=torch.randn(steps, 40).tanh(),
            cell=None,
            first_hidden=torch.zeros(40),
            first_cell=None,
        )

    return TextTrace(
        translation="b",
        truncated=False,
        source_pieces=source,
        target_pieces=target,
        trace=Trace(
            layers=(
                layer("encoder", "forward", len(source)),
                layer("encoder", "backward", len(source)),
                layer("decoder", "forward", len(target)),
            ),
            encoder_outputs=torch.zeros(len(source), 80),
            attention=torch.rand(len(target), len(source)).softmax(1),
            attentional=torch.zeros(len(target), 4),
        ),
    )


SHORT = trace_of(("▁$a^", "▁語", "</s>"), ("▁b", "</s>"))


def texts(path: Path) -> list[str]:
    root = ElementTree.parse(path).getroot()
    return ["".join(each.itertext()).strip() for each in root.iter() if each.tag.endswith("}text")]


def test_an_svg_tells_its_layers_values_and_pieces(tmp_path: Path) -> None:
    save_trace(SHORT, tmp_path / "a.svg")
    found = texts(tmp_path / "a.svg")
    assert found.count("reset, 0 to 1") == 3
    assert len([text for text in found if text.startswith("hidden, -0.")]) == 3
    assert [text for text in found if "coder" in text] == [
        "encoder 1, forward",
        "encoder 1, backward",
        "decoder 1",
    ]
    assert found.count("units 1 to 16") == 3
    # Beneath the two maps of the last encoder layer, and the attention.
    assert found.count("␣$a^") == found.count("␣語") == 2 + 1
    # Beneath the two maps of the decoder, and left of the attention.
    assert found.count("␣b") == 2 + 1
    assert (tmp_path / "a.svg").stat().st_size < 60_000


def test_the_same_trace_gives_the_same_file(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        save_trace(SHORT, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert not re.search(rb"<dc:date>", (tmp_path / "a.svg").read_bytes())


def test_a_png_of_a_long_text_has_a_size_that_can_be_looked_at(tmp_path: Path) -> None:
    save_trace(trace_of(("▁a",) * 90, ("▁b",) * 90), tmp_path / "a.PNG")
    height, width, _ = imread(tmp_path / "a.PNG").shape
    assert height < 1500 and width < 4000


@pytest.mark.parametrize("name", ["a", "a.jpg", "a.svg.gz"])
def test_other_formats_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"Give a name that ends in \.png or \.svg"):
        picture_format(Path(name))
