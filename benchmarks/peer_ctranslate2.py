"""CTranslate2 as a process that is asked for timings; run by the Python that has ctranslate2.

    PYTHON peer_ctranslate2.py MODEL PIECES      MODEL a converted folder, PIECES a sentence a line

Each line on standard input is "BEAM BATCH"; batch 1 is one sentence at a time. Each answer is the
seconds that all sentences took. One thread, int8. Only what the peer's environment has is imported.
"""

import sys
import time

import ctranslate2  # type: ignore[import-not-found]  # the peer's environment has it, ours not


def main() -> int:
    """Answer until standard input ends."""
    model, pieces = sys.argv[1:3]
    with open(pieces, encoding="utf-8") as file:
        sentences = [line.split() for line in file]
    translator = ctranslate2.Translator(
        model, device="cpu", compute_type="int8", inter_threads=1, intra_threads=1
    )
    for line in sys.stdin:
        beam, batch = map(int, line.split())
        options = {"beam_size": beam, "max_decoding_length": 100}
        started = time.perf_counter()
        if batch == 1:
            for sentence in sentences:
                translator.translate_batch([sentence], **options)
        else:
            translator.translate_batch(sentences, max_batch_size=batch, **options)
        print(time.perf_counter() - started, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
