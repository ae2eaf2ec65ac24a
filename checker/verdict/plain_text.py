"""Text that a submission wrote, made safe to show wherever a verdict is read."""

import re

LONGEST = 4_000

TERMINAL_CODES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor, screen
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC and its like: titles, links, clipboard
    r"|\x1b[ -/]*[0-~]"
    r"|\x9b[0-?]*[ -/]*[@-~]"
)
# Controls but newline and tab, marks that turn the direction of text, and what XML cannot hold
UNSHOWABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
CUT = "[… cut]"


def plain(text: str, *, keep_end: bool = False) -> str:
    """`text` without terminal codes and control characters, of at most LONGEST characters.

    The end is cut off; with `keep_end`, as for a log, the beginning is.
    """
    scanned = text[-4 * LONGEST :] if keep_end else text[: 4 * LONGEST]
    shown = UNSHOWABLE.sub("\ufffd", TERMINAL_CODES.sub("", scanned.replace("\r\n", "\n")))
    if len(shown) <= LONGEST:
        return shown
    return CUT + shown[-LONGEST:] if keep_end else shown[:LONGEST] + CUT
