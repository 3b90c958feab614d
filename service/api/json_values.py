"""JSON values: bounds what parsing a long body can cost.

Parsing happens on the event loop in one go, and in a thread it would hold the interpreter's lock
for just as long. So a long body is first scanned in slices, between which the event loop does other
work, and refused if it has more values than any request needs.
"""

import asyncio
import re

from model.errors import RequestError

SLICE = 65_536
"""Bytes that are scanned without a look at other work. A shorter body needs no check."""

_REST_OF_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_STRUCTURE = re.compile(rb"[,:\[{]")


async def check_values(content: bytes, most: int) -> None:
    """Check that a long body has few enough values to be parsed at once.

    Whether it is JSON is left to the parser.

    Args:
        most: how many commas, colons, brackets and strings it may have.

    Raises:
        RequestError: it has too many.
    """
    position, values, in_string = 0, 0, False
    scanned = 0
    while position < len(content):
        end = min(position + SLICE, len(content))
        if in_string:
            match = _REST_OF_STRING.match(content, position, end)
            assert match is not None  # it matches nothing, too
            stop = match.end()
            in_string = content[stop : stop + 1] != b'"'
            if in_string and stop == position:
                return  # half an escape at the very end
            stop += not in_string
        else:
            stop = content.find(b'"', position, end)
            in_string = stop >= 0
            stop = stop + 1 if in_string else end
            values += in_string + len(_STRUCTURE.findall(content, position, stop))
        if values > most:
            raise RequestError(
                f"more than {most:,} values and punctuation marks. Send several requests.",
                field="body",
            )
        scanned += stop - position
        position = stop
        if scanned >= SLICE:
            scanned = 0
            await asyncio.sleep(0)
