"""Text that others wrote, made fit to be shown in an error or a log."""

from __future__ import annotations

SHOWN_LENGTH = 200
"""How many characters of a foreign text an error shows at most."""


def shorten(text: object, limit: int = SHOWN_LENGTH) -> str:
    r"""Foreign text on one line of bounded length, with its control characters made visible.

    An error that quotes what it was given must stay readable, whatever that was: ten thousand
    characters, line breaks that look like further log lines, or escape sequences of a terminal.

    Args:
        text: what to show; anything but a string is turned into one.
        limit: the most characters of the result.

    Returns:
        The text with every unprintable character as its Python escape (a line break as ``\n``).
        Where that is too long, its beginning, followed by how many characters there were.
    """
    whole = str(text)
    shown = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in whole[: limit + 1]
    )
    if len(shown) <= limit:
        return shown
    tail = f"... ({len(whole)} characters)"
    return shown[: max(0, limit - len(tail))] + tail[:limit]
