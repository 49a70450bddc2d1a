"""What launch arguments mean: texts to values. Needs neither launch nor rclpy."""

from __future__ import annotations

import csv
from pathlib import Path

TRUE, FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


def truth(name: str, text: str) -> bool:
    """A switch.

    Raises:
        ValueError: if the text is none of the spellings.
    """
    word = text.strip().lower()
    if word not in (*TRUE, *FALSE):
        raise ValueError(f"{name} must be true or false, got {text!r}")
    return word in TRUE


def number(name: str, text: str) -> float:
    """A number.

    Raises:
        ValueError: if the text is none.
    """
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{name} must be a number, got {text!r}") from None


def names(text: str) -> list[str]:
    """Names separated by commas; one that holds a comma stands in double quotes.

    Brackets around all of them and quotes around each, as parameters have them, do no harm.
    """
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    rows = csv.reader([text.replace("\n", " ")], skipinitialspace=True)
    words = [word.strip() for row in rows for word in row]
    words = [w[1:-1].strip() if len(w) > 1 and w[0] == w[-1] == "'" else w for w in words]
    return [word for word in words if word]


def namespace(text: str) -> str:
    """A namespace as rclpy takes it: ``robot/`` and ``//robot`` are ``robot`` and ``/robot``."""
    parts = [part for part in text.strip().split("/") if part]
    return ("/" if text.strip().startswith("/") and parts else "") + "/".join(parts)


def logger_name(space: str, node: str) -> str:
    """The logger of a node: namespace and name, with dots."""
    return ".".join([*namespace(space).strip("/").split("/"), node]).lstrip(".")


def config_file(text: str, folder: Path) -> str:
    """A config by path, or by the name of one that ships in a folder (``clip``, ``clip.yaml``).

    What is neither is left as it is: the node says that it is not there.
    """
    candidates = (Path(text).expanduser(), folder / text, folder / f"{text}.yaml")
    return next((str(path) for path in candidates if text and path.is_file()), text)


def existing_file(name: str, text: str) -> str:
    """A file that must be there.

    Raises:
        ValueError: if it is not.
    """
    if not Path(text).expanduser().is_file():
        raise ValueError(f"{name}: there is no file {text}")
    return str(Path(text).expanduser())
