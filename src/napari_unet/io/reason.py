"""What another library's error says, short enough to stand inside a sentence."""

from __future__ import annotations


def reason_of(error: BaseException) -> str:
    r"""The message of an error on one line, without the full stop, or else its kind.

    Examples
    --------
    >>> reason_of(ValueError("bad\n  header.")), reason_of(EOFError())
    ('bad header', 'EOFError')
    """
    text = (isinstance(error, OSError) and error.strerror) or str(error)
    line = " ".join(text.split()).rstrip(".")
    if len(line) > 160:
        line = line[:157] + "..."
    return line or type(error).__name__
