"""g2p-en as a process that is asked for sounds and timings; run by the Python that has g2p-en.

    PYTHON peer_g2p_en.py WORDS      WORDS a spelling a line

It answers with a line of sounds for each word, by the network alone, `G2p.predict`: the dictionary
that g2p-en looks words up in would know them all. A line "ready" comes first. After that, for each
line "COUNT" on standard input, it answers with the seconds that the first COUNT words took.
"""

import contextlib
import os
import sys
import time

with contextlib.redirect_stdout(sys.stderr):  # it says that it cannot download the dictionary
    from g2p_en import G2p  # type: ignore[import-not-found]  # the peer's environment has it


def main() -> int:
    """Answer until standard input ends."""
    with open(sys.argv[1], encoding="utf-8") as file:
        words = [line.strip() for line in file]
    peer = G2p.__new__(G2p)
    try:
        peer.__init__()
    except LookupError:  # the dictionary is not there, which the network does not need
        peer.load_variables()
    print("ready")
    for word in words:
        print(*peer.predict(word))
    sys.stdout.flush()
    for line in sys.stdin:
        started = time.perf_counter()
        for word in words[: int(line)]:
            peer.predict(word)
        print(time.perf_counter() - started, flush=True)
    return 0


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
