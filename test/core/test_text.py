"""Foreign text in errors: short, on one line, nothing hidden."""

import pytest

from semabs_core.text import SHOWN_LENGTH, shorten


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mug", "mug"),
        ("Größe 杯", "Größe 杯"),
        ("a\nb\tc\x1b[31m", r"a\nb\tc\x1b[31m"),
        ("\u202eevil\ud800", r"\u202eevil\ud800"),
        (["mug", 5], "['mug', 5]"),
        (None, "None"),
        ("x" * SHOWN_LENGTH, "x" * SHOWN_LENGTH),
    ],
)
def test_short_texts_are_shown_whole(text, shown):
    assert shorten(text) == shown


@pytest.mark.parametrize("text", ["x" * 10_000, "\n" * 150, "杯" * 201])
@pytest.mark.parametrize("limit", [200, 40])
def test_long_texts_are_cut_and_say_how_long_they_were(text, limit):
    shown = shorten(text, limit)
    assert len(shown) == limit
    assert shown.endswith(f"... ({len(text)} characters)")
    assert shown.startswith(text[0] if text[0].isprintable() else r"\n")
    assert shown.isprintable()


def test_a_tiny_limit_is_kept():
    assert len(shorten("x" * 100, 5)) == 5
