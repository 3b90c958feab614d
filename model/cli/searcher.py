"""What searches with a loaded model: a Translator, or a Transducer if one side is no text."""

from model.cli.command import LoadedModel
from model.decoding.options import SearchOptions
from model.transducer import Transducer
from model.translator import Translator


def searcher(model: LoadedModel, options: SearchOptions) -> Translator | Transducer:
    """Make it, with these default options.

    Raises:
        RequestError: the options do not suit the model.
    """
    checkpoint = model.checkpoint
    if not checkpoint.is_text:
        return Transducer(
            model.network, checkpoint.lines, options, device=model.device, dtype=model.dtype
        )
    return Translator(
        model.network,
        checkpoint.tokenizer,
        options,
        device=model.device,
        dtype=model.dtype,
        profile=checkpoint.profile,
        shortlist=model.shortlist,
    )
