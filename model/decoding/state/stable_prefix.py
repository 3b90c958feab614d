"""Stable prefix: how much of the translation of a streamed sentence is already certain."""

# Shapes: M streamed sentences, K hypotheses.

import torch

from model.decoding.request import Event, Progress
from model.decoding.rules.rules import score_bound
from model.decoding.sentence import Sentence
from model.decoding.state.beam import Beam
from model.decoding.state.history import History


def progress(active: list[Sentence | None], beam: Beam, history: History) -> list[Event]:
    """Events of the streamed sentences whose stable prefix has grown; `active` is by slot."""
    streamed = [
        (slot, sentence)
        for slot, sentence in enumerate(active)
        if sentence is not None and sentence.request.stream
    ]
    if not streamed:
        return []
    slots = [slot for slot, _ in streamed]
    best, alive = beam.best[slots, 0], beam.log_prob[slots]
    bound = alive / beam.longest[slots].unsqueeze(1)  # (M, K)
    bound += bound.new_tensor([[score_bound(s, s.length)] for _, s in streamed])
    prefixes = history.stable_prefixes(
        slots,
        beam.length[slots].tolist(),
        (bound >= best.unsqueeze(1)) & (alive > -torch.inf),
        best,
    )
    events: list[Event] = []
    for (_, sentence), prefix in zip(streamed, prefixes, strict=True):
        if len(prefix) > sentence.reported:
            sentence.reported = len(prefix)
            events.append(Progress(sentence.id, prefix))
    return events
