"""Text in figures: whole names in lines that fit, titles, legends, a bar of colours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from semabs_core.visualize.colors import heat

GAP = 12
INK = (25, 25, 25)
TEXT_SIZE = 15


def font(size: int) -> ImageFont.FreeTypeFont:
    """The typeface of all figures, from matplotlib's package."""
    path = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"
    return ImageFont.truetype(str(path), size)


def wrap_text(text: str, size: int, width: int) -> list[str]:
    """The text in lines of at most ``width`` pixels; a word that is wider is broken."""
    letters = font(size)
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if letters.getlength(longer) <= width:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if lines[-1] and letters.getlength(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    return lines


def line_height(size: int) -> int:
    """Pixels from line to line."""
    return round(1.35 * size)


def titled(
    image: NDArray[np.uint8], title: str, size: int = TEXT_SIZE, lines: int = 1
) -> NDArray[np.uint8]:
    """A picture under a title.

    Args:
        image: (H, W, 3) uint8.
        title: wrapped where it is wider than the picture.
        size: of the letters, pixels.
        lines: room for so many is made at least, so that pictures in a row stay level.
    """
    wrapped = wrap_text(title, size, image.shape[1] - 8)
    bar = max(lines, len(wrapped)) * line_height(size) + 9
    canvas = Image.new("RGB", (image.shape[1], image.shape[0] + bar), "white")
    canvas.paste(Image.fromarray(image), (0, bar))
    draw = ImageDraw.Draw(canvas)
    for number, line in enumerate(wrapped):
        draw.text((4, 4 + number * line_height(size)), line, font=font(size), fill=INK)
    return np.asarray(canvas)


def titled_alike(
    images: Sequence[NDArray[np.uint8]], titles: Sequence[str], size: int = TEXT_SIZE
) -> list[NDArray[np.uint8]]:
    """Pictures of one size, each under its title, with as much room above all of them."""
    widths = [image.shape[1] - 8 for image in images]
    lines = max(len(wrap_text(t, size, w)) for t, w in zip(titles, widths, strict=True))
    return [titled(i, t, size, lines) for i, t in zip(images, titles, strict=True)]


def legend(
    entries: Sequence[tuple[str, NDArray]], height: int, width: int = 250, size: int = TEXT_SIZE
) -> NDArray[np.uint8]:
    """All names beside their colours, in as many columns as the height needs.

    Args:
        entries: names and RGB colours in 0..1.
        height: of the picture, pixels; more where a single name needs it.
        width: of a column, pixels.
        size: of the letters, pixels.
    """
    step, room = line_height(size), width - 24 - size
    blocks = [(wrap_text(name, size, room), color) for name, color in entries]
    needed = max([len(lines) * step + 16 for lines, _ in blocks], default=0)
    height = max(height, needed)
    places, x, y = [], 0, 4
    for lines, _ in blocks:
        if y + len(lines) * step + 4 > height:
            x, y = x + width, 4
        places.append((x, y))
        y += len(lines) * step + 5
    canvas = Image.new("RGB", (x + width, height), "white")
    draw = ImageDraw.Draw(canvas)
    for (lines, color), (x, y) in zip(blocks, places, strict=True):
        fill = tuple(round(255 * c) for c in color)
        draw.rectangle((x + 6, y + 2, x + 6 + size, y + 2 + size), fill=fill, outline=INK)
        for number, line in enumerate(lines):
            draw.text((x + 14 + size, y + number * step), line, font=font(size), fill=INK)
    return np.asarray(canvas)


def color_bar(top: float, height: int, title: str, size: int = TEXT_SIZE) -> NDArray[np.uint8]:
    """The colours of :func:`semabs_core.visualize.colors.heat` from 0 (below) to ``top``.

    Args:
        top: the value of the uppermost colour.
        height: pixels.
        title: what the values are; wrapped above the bar.
        size: of the letters, pixels.
    """
    width = 9 * size
    lines = wrap_text(title, size, width - 8)
    first = len(lines) * line_height(size) + size
    canvas = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(canvas)
    for number, line in enumerate(lines):
        draw.text((4, 4 + number * line_height(size)), line, font=font(size), fill=INK)
    last = max(first + 2, height - size)
    colors = heat(np.linspace(1, 0, last - first))
    bar = Image.fromarray(np.repeat(colors[:, None], 2 * size, axis=1))
    canvas.paste(bar, (4, first))
    draw.rectangle((4, first, 4 + 2 * size, last), outline=INK)
    for share in (0.0, 0.5, 1.0):
        y = last + (first - last) * share
        draw.line((4 + 2 * size, y, 10 + 2 * size, y), fill=INK)
        text = f"{top * share:.2g}"
        draw.text((14 + 2 * size, y), text, font=font(size), fill=INK, anchor="lm")
    return np.asarray(canvas)


def tile(images: Sequence[NDArray[np.uint8]], columns: int) -> NDArray[np.uint8]:
    """Pictures of one size in rows of ``columns``, on white."""
    height, width = images[0].shape[:2]
    rows = -(-len(images) // columns)
    canvas = np.full(
        (rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), 255, dtype=np.uint8
    )
    for i, image in enumerate(images):
        y, x = i // columns * (height + GAP), i % columns * (width + GAP)
        canvas[y : y + height, x : x + width] = image
    return canvas


def beside(*images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pictures in a row on white, aligned at the top."""
    height = max(image.shape[0] for image in images)
    padded = [
        np.pad(image, ((0, height - image.shape[0]), (0, GAP), (0, 0)), constant_values=255)
        for image in images
    ]
    return np.concatenate(padded, axis=1)
