"""Responses: the schemas of response bodies, and the conversion of results into them."""

import dataclasses
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from typing import Annotated, Any, Literal, NotRequired

from pydantic import BaseModel, Field
from pydantic_core import to_json
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from typing_extensions import TypedDict

from model.text.kind import Kind
from model.translation.assemble import TextHypothesis, Translation
from model.vectors.series_window import SeriesWindow
from service.engine.request_params import Detail, RequestParams
from service.engine.scorer import Scored


class HypothesisResult(TypedDict):
    """One hypothesis without its text: its scores, pieces and alignment."""

    truncated: Annotated[bool, Field(description="It hit its length limit and would have gone on.")]
    score: Annotated[
        NotRequired[float], Field(description="`log_prob` divided by the length penalty.")
    ]
    log_prob: Annotated[
        NotRequired[float], Field(description="Natural logarithm of the probability.")
    ]
    pieces: Annotated[
        NotRequired[list[str]], Field(description="Of the answer; U+2581 stands for a space.")
    ]
    token_log_probs: Annotated[
        NotRequired[list[float]],
        Field(description="For each piece the natural logarithm of its probability."),
    ]
    alignment: Annotated[
        NotRequired[list[int]],
        Field(description="For each piece, which of the source pieces it attended to most."),
    ]
    word_alignment: Annotated[
        NotRequired[list[int]],
        Field(description="For each word, which word of the source it attended to most."),
    ]
    word_sources: Annotated[
        NotRequired[list[list[tuple[int, int]]]],
        Field(
            description="For each word, where the words that it comes from stand in the text as it "
            "was sent: `[start, end)` in Unicode code points, in their order."
        ),
    ]
    attention: Annotated[
        NotRequired[list[list[float]]],
        Field(
            description="For each piece its attention to each source piece, without the ends. "
            "Only of a text that was not cut."
        ),
    ]


class TranslationAlternative(HypothesisResult):
    """Another translation of a text."""

    translation: str


class SummaryAlternative(HypothesisResult):
    """Another summary of a text."""

    summary: str


class TranslationResult(TranslationAlternative):
    """The best translation of a text."""

    source_pieces: NotRequired[list[str]]
    alternatives: Annotated[
        NotRequired[list[TranslationAlternative]],
        Field(description="The others, best first, with an `n_best` above 1."),
    ]


class WholeSourceResult(TypedDict):
    """How a text was read that is longer than the model reads at once, with `on_long` whole."""

    pieces: Annotated[int, Field(description="Number of its source pieces; all were read.")]
    attention_span: Annotated[
        int | None, Field(description="How many of them each step attended to; null: all.")
    ]


class WindowResult(TypedDict):
    """A stretch of a text that was read by itself."""

    start: Annotated[int, Field(description="Where it begins in the text, in code points.")]
    end: Annotated[int, Field(description="Where it ends: the first code point behind it.")]
    score: Annotated[float, Field(description="The score of its best summary.")]
    used: Annotated[bool, Field(description="Whether the answer is made from that summary, too.")]


class SummaryResult(SummaryAlternative):
    """The best summary of a text."""

    source_pieces: NotRequired[list[str]]
    alternatives: Annotated[
        NotRequired[list[SummaryAlternative]],
        Field(description="The others, best first, with an `n_best` above 1."),
    ]
    truncated_source: Annotated[
        NotRequired[int],
        Field(description="Number of source pieces read, if the text was too long and was cut."),
    ]
    whole_source: Annotated[
        NotRequired[WholeSourceResult],
        Field(description="How a text was read that is longer than the model reads at once."),
    ]
    windows: Annotated[
        NotRequired[list[WindowResult]],
        Field(
            description="The windows of a text that was too long and was read in windows. "
            "Everything else tells of the last round, over their summaries."
        ),
    ]


class ModelAnswer(TypedDict):
    """The model that answered."""

    model: Annotated[str, Field(description="Name of the model.")]
    digest: Annotated[str, Field(description="Identity of its checkpoint.")]


class TranslateResponse(ModelAnswer):
    """One translation for each text, in their order."""

    translations: list[TranslationResult]


class SummarizeResponse(ModelAnswer):
    """One summary for each text, in their order."""

    summaries: list[SummaryResult]


class ScoreResult(TypedDict):
    """The probability of a target, given its source."""

    log_prob: Annotated[float, Field(description="Natural logarithm of the probability.")]
    score: Annotated[float, Field(description="`log_prob` divided by the length penalty.")]
    pieces: Annotated[list[str], Field(description="Of the target.")]
    token_log_probs: Annotated[
        list[float], Field(description="For each piece, the natural logarithm of its probability.")
    ]


class ScoreResponse(ModelAnswer):
    """One score for each pair, in their order."""

    scores: list[ScoreResult]


class FirstState(TypedDict):
    """The state of a layer before its first step."""

    hidden: list[float]
    cell: Annotated[NotRequired[list[float]], Field(description="Only an LSTM has it.")]


class LayerTraceResult(TypedDict):
    """One layer in one direction."""

    part: Literal["encoder", "decoder"]
    layer: Annotated[int, Field(description="From 1, which is next to the embeddings.")]
    direction: Literal["forward", "backward"]
    inputs: Annotated[int, Field(description="How many numbers it reads at each step.")]
    units: Annotated[int, Field(description="How many units it has; the first ones are told.")]
    first: FirstState
    values: Annotated[
        dict[str, list[list[float]]],
        Field(
            description="By name, in the order in which they are computed: the gates of the cell, "
            "`cell` in an LSTM, and `hidden`. A row for each piece, in the order of the text, and "
            "a column for each unit."
        ),
    ]


class TraceResponse(ModelAnswer):
    """What happens inside the network while it translates a sentence."""

    translation: Annotated[str, Field(description="Or a summary, of a model for that.")]
    truncated: Annotated[bool, Field(description="It hit its length limit and would have gone on.")]
    source_pieces: Annotated[list[str], Field(description="With the end of the sentence.")]
    target_pieces: Annotated[list[str], Field(description="With the end of the sentence.")]
    layers: Annotated[
        list[LayerTraceResult],
        Field(description="Those of the encoder, then those of the decoder, from the lowest up."),
    ]
    attention: Annotated[
        list[list[float]],
        Field(description="A row for each piece of the target, a column for each of the source."),
    ]


class SymbolsAlternative(HypothesisResult):
    """Another output for a sequence."""

    symbols: str


class SymbolsResult(SymbolsAlternative):
    """The best output for a sequence, of a model that writes symbols."""

    source_pieces: Annotated[NotRequired[list[str]], Field(description="Symbols of the source.")]
    alternatives: Annotated[
        NotRequired[list[SymbolsAlternative]],
        Field(description="The others, best first, with an `n_best` above 1."),
    ]


class TextAlternative(HypothesisResult):
    """Another text for a sequence."""

    text: str


class TextResult(TextAlternative):
    """The best text for a sequence, of a model that reads vectors and writes pieces of text."""

    source_pieces: Annotated[NotRequired[list[str]], Field(description="None: vectors have none.")]
    alternatives: Annotated[
        NotRequired[list[TextAlternative]],
        Field(description="The others, best first, with an `n_best` above 1."),
    ]


class VectorsResult(TypedDict):
    """The output for a sequence, of a model that writes vectors."""

    vectors: list[list[float]]


class TransduceResponse(TypedDict):
    """The answer to a request for sequences."""

    results: Annotated[
        list[SymbolsResult | TextResult | VectorsResult],
        Field(description="In the order of the request."),
    ]
    model: str
    digest: str


class SeriesWindowResult(TypedDict):
    """What each source of a model that forecasts series is."""

    columns: Annotated[list[str], Field(description="What the numbers of a vector are.")]
    targets: Annotated[list[str], Field(description="Those of them that are forecast.")]
    window: Annotated[int, Field(description="Vectors that it reads, no more and no fewer.")]
    horizon: Annotated[int, Field(description="Vectors after them that it writes.")]


def window_result(window: SeriesWindow | None) -> SeriesWindowResult | None:
    """The part of `window` that a client needs: no table is read here."""
    if window is None:
        return None
    return {
        "columns": list(window.columns),
        "targets": list(window.targets),
        "window": window.window,
        "horizon": window.horizon,
    }


class ModelResult(TypedDict):
    """A model being served."""

    name: str
    task: Annotated[str, Field(description="translate, summarize, or transduce for sequences.")]
    source: str | None
    target: str | None
    source_kind: Annotated[Kind, Field(description="What it reads; pieces are those of text.")]
    target_kind: Annotated[Kind, Field(description="What it writes.")]
    width: Annotated[int | None, Field(description="Numbers in a vector that it reads.")]
    window: Annotated[
        SeriesWindowResult | None, Field(description="What it reads if it forecasts series.")
    ]
    digest: Annotated[str, Field(description="Identity of the checkpoint.")]
    card: Annotated[str, Field(description="Markdown: data, license, metrics.")]
    options: Annotated[dict[str, Any], Field(description="What requests may set, with defaults.")]
    loaded_at: Annotated[float, Field(description="Seconds since 1970.")]


class ModelsResponse(TypedDict):
    """The models being served."""

    models: list[ModelResult]


class ReloadResponse(TypedDict):
    """The model that is served after the reload."""

    model: str
    digest: str


class Alive(BaseModel):
    """The probe succeeded."""

    status: Literal["ok"] = "ok"


class ErrorDetail(BaseModel):
    type: str = Field(description="Kind of the error, for programs.")
    message: str = Field(description="What is wrong and what to do, for people.")


class ErrorBody(BaseModel):
    """The body of every answer that is not a success."""

    error: ErrorDetail


def expected_bytes(texts: Sequence[str], params: RequestParams) -> int:
    """Return a rough estimate of the size of an answer, from the details that are asked for."""
    details = params.details
    per_character = 1 + 11 * ("tokens" in details) + 6 * ("alignment" in details)
    size = sum(per_character * len(text) for text in texts)
    if "attention" in details:  # a number for each pair of pieces, which have three characters
        size += sum(20 * (len(text) // 3) ** 2 for text in texts)
    return params.options.n_best * size


class RoomHoldingResponse(Response):
    """A JSON answer whose request keeps its room in the server until it has been written."""

    media_type = "application/json"

    def __init__(self, content: bytes, room: ExitStack) -> None:
        """`room` is closed when the answer has been written, or the client has left."""
        super().__init__(content)
        self._room = room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._room:
            await super().__call__(scope, receive, send)


def json_response(body: object) -> Response:
    """Return a successful response with this JSON body."""
    return Response(to_json(body), media_type="application/json")


def text_answers(
    translations: Sequence[Translation], word: str, wanted: Collection[Detail], n_best: int
) -> list[dict[str, object]]:
    """Return the results of the texts, in order.

    Args:
        word: what an answer calls its text, such as "translation".
        wanted: the `return` of the request.
        n_best: that of the request: alternatives are included if it is above 1.
    """
    return [_text_answer(each, word, wanted, n_best) for each in translations]


def pair_answers(scores: Sequence[Scored]) -> list[ScoreResult]:
    """Return the results of the pairs, in order."""
    return [
        {
            "log_prob": each.log_prob,
            "score": each.score,
            "pieces": list(each.pieces),
            "token_log_probs": list(each.token_log_probs),
        }
        for each in scores
    ]


def _text_answer(
    translation: Translation, word: str, wanted: Collection[Detail], n_best: int
) -> dict[str, object]:
    best, *others = (_hypothesis_result(each, word, wanted) for each in translation.hypotheses)
    if translation.truncated_source is not None:
        best["truncated_source"] = translation.truncated_source
    if translation.whole_source is not None:
        best["whole_source"] = dataclasses.asdict(translation.whole_source)
    if translation.windows:
        best["windows"] = [window.to_json() for window in translation.windows]
    if "tokens" in wanted:
        best["source_pieces"] = translation.source_pieces
    if n_best > 1:
        best["alternatives"] = others
    return best


def _hypothesis_result(
    hypothesis: TextHypothesis, word: str, wanted: Collection[Detail]
) -> dict[str, object]:
    result: dict[str, object] = {word: hypothesis.translation, "truncated": hypothesis.truncated}
    if "scores" in wanted:
        result |= {"score": hypothesis.score, "log_prob": hypothesis.log_prob}
    if "tokens" in wanted:
        result |= {"pieces": hypothesis.pieces, "token_log_probs": hypothesis.token_log_probs}
    if "alignment" in wanted:
        result |= {"alignment": hypothesis.alignment, "word_alignment": hypothesis.word_alignment}
        result["word_sources"] = hypothesis.word_sources
    if "attention" in wanted and hypothesis.weights is not None:
        result["attention"] = hypothesis.weights[:-1, :-1].tolist()
    return result
