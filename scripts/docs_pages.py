"""What the docs site generates from sources: references, pages of files, links out of ``docs/``.

MkDocs calls the ``on_...`` functions. A page holds ``<!-- generated: NAME -->`` where the output of
a function of ``GENERATED`` goes, so that hand-written words can stand around it. A link to a file
of the repository outside ``docs/`` becomes a link to a page that shows the file: on the site as in
a clone the same link works.
"""

from __future__ import annotations

import html
import posixpath
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
_MARK = re.compile(r"<!-- generated: ([a-z_]+) -->")
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(((?:\.\./)*[^)#:\s]+)(#[^)]*)?\)")
_ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):(<code>)~?")
_LANGUAGES = {
    ".py": "python", ".yaml": "yaml", ".yml": "yaml", ".sh": "bash", ".toml": "toml",
    ".json": "json", ".ipynb": "json", ".xml": "xml", ".cff": "yaml",
}  # fmt: skip
FILES = "files"
"""Folder of the site with the pages that show files of the repository."""


def interfaces() -> str:
    """Every message, service and action as its file says it, with a table of its constants."""
    parts = []
    for kind in ("action", "srv", "msg"):
        for file in sorted((ROOT / kind).iterdir()):
            parts.append(f"## {file.stem}\n\n`semabs/{kind}/{file.stem}`\n")
            parts.append(f"```text\n{file.read_text().strip()}\n```\n")
    return "\n".join(parts)


def parameters() -> str:
    """All parameters of the node: default, meaning, limits."""
    from semabs_ros.parameters import program_options

    rows = ["| parameter | default | meaning |", "|---|---|---|"]
    for option in program_options():
        shown = (
            ", ".join(map(str, option.default))
            if isinstance(option.default, list)
            else option.default
        )
        rows.append(f"| `{option.name}` | {_code(shown)} | {_cell(option.description)} |")
    return "\n".join(rows)


def readers() -> str:
    """What can be read, by what it is recognised, and in which units and conventions."""
    from semabs_core.readers import READERS

    rows = ["| | recognised by | read as |", "|---|---|---|"]
    rows += [f"| {one.name} | {_cell(one.recognised_by)} | {_cell(one.reads)} |" for one in READERS]
    return "\n".join(rows)


def read_options() -> str:
    """What a reader may be told."""
    from semabs_core.readers import ReadOptions
    from semabs_core.training.settings import option_lines

    rows = ["| name | default | meaning |", "|---|---|---|"]
    rows += [
        f"| `{line.name}` | {_code(line.default)} | {_cell(line.meaning)} |"
        for line in option_lines(ReadOptions)
    ]
    return "\n".join(rows)


def commands() -> str:
    """Every command with its help, arguments and options."""
    import typer

    from semabs_core.cli import app

    parts: list[str] = []
    _command(typer.main.get_command(app), "semabs", parts)
    return "\n".join(parts)


def _command(command: Any, name: str, parts: list[str]) -> None:
    parts.append(f"## {name}\n" if " " not in name else f"### {name}\n")
    parts.append(_plain(command.help or "") + "\n")
    if command.epilog:
        parts.append(f"`{command.epilog.removeprefix('Example: ')}`\n")
    shown = [p for p in command.params if not getattr(p, "hidden", False) and p.name != "help"]
    if shown:
        parts += ["| | default | meaning |", "|---|---|---|"]
        parts += [_parameter(parameter) for parameter in shown]
        parts.append("")
    for child in sorted(getattr(command, "commands", {})):
        _command(command.commands[child], f"{name} {child}", parts)


def _parameter(parameter: Any) -> str:
    names = parameter.opts if parameter.param_type_name == "option" else [parameter.name.upper()]
    default = "required" if parameter.required else parameter.default
    if callable(default) or default in (None, (), [], ""):
        default = ""
    shown = ", ".join(f"`{name}`" for name in names)
    return f"| {shown} | {_code(default)} | {_cell(getattr(parameter, 'help', '') or '')} |"


def words() -> str:
    """The words of the encoder that ships."""
    from semabs_core.vocabulary import read_vocabulary

    known = read_vocabulary("shipped:encoder")
    assert known is not None
    synonyms = ", ".join(f"{other} ({name})" for name, other in sorted(known.synonyms.items()))
    return (
        f"**{len(known.classes)} things:** {', '.join(known.classes)}.\n\n"
        f"**{len(known.colors)} colours before a thing:** {', '.join(known.colors)}.\n\n"
        f"**{len(known.synonyms)} other words:** {synonyms}.\n"
    )


def changelog() -> str:
    """CHANGELOG.md without its title."""
    return _body("CHANGELOG.md")


def contributing() -> str:
    """CONTRIBUTING.md without its title."""
    return _body("CONTRIBUTING.md")


def _body(name: str) -> str:
    text = (ROOT / name).read_text(encoding="utf-8").partition("\n")[2]
    return _LINK.sub(lambda m: f"[{m[1]}]({_from_docs(m[2])}{m[3] or ''})", text)


def _from_docs(link: str) -> str:
    """A link of a file beside ``docs/`` as a page in ``docs/`` has it."""
    return link.removeprefix("docs/") if link.startswith("docs/") else f"../{link}"


GENERATED: dict[str, Callable[[], str]] = {
    function.__name__: function
    for function in (
        interfaces,
        parameters,
        readers,
        read_options,
        commands,
        words,
        changelog,
        contributing,
    )
}


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Fill in what is generated, and turn links out of ``docs/`` to pages of files."""
    text = _MARK.sub(lambda mark: GENERATED[mark[1]](), markdown)
    here = posixpath.dirname(page.file.src_uri)
    return _LINK.sub(lambda link: _inside(link, here), text)


def on_page_content(html: str, page: Any, config: Any, files: Any) -> str:
    """Take the roles of Sphinx out of docstrings: the name alone is left."""
    return _ROLE.sub(r"\1", html)


def _inside(link: re.Match[str], here: str) -> str:
    """A link as the site has it."""
    text, target, anchor = link[1], link[2], link[3] or ""
    path = posixpath.normpath(posixpath.join("docs", here, target))
    if path.startswith("docs/") or not (ROOT / path).exists():
        return link[0]
    page = posixpath.relpath(_page_of(path), here or ".")
    return f"[{text}]({page}{anchor})"


def _page_of(path: str) -> str:
    return f"{FILES}/{path.rstrip('/')}.md"


def on_files(files: Any, config: Any) -> Any:
    """Add a page for each file of the repository that some page links to."""
    from mkdocs.structure.files import File

    for path in sorted(linked_files()):
        page = File.generated(config, _page_of(path), content=_shown(path))
        page.inclusion = page.inclusion.NOT_IN_NAV
        files.append(page)
    return files


def linked_files() -> set[str]:
    """Files and folders outside ``docs/`` that pages link to."""
    found = set()
    pages = [*(ROOT / "docs").rglob("*.md"), ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]
    for page in pages:
        for link in _LINK.finditer(page.read_text(encoding="utf-8")):
            path = posixpath.normpath(
                posixpath.join(page.parent.relative_to(ROOT).as_posix(), link[2])
            )
            if not path.startswith("docs/") and (ROOT / path).exists():
                found.add(path)
    return found


def _shown(path: str) -> str:
    file = ROOT / path
    if file.is_dir():
        names = sorted(
            child.name for child in file.iterdir() if not child.name.startswith((".", "_"))
        )
        return f"# {path}\n\n" + "\n".join(f"- `{name}`" for name in names) + "\n"
    language = _LANGUAGES.get(file.suffix, "text")
    return f"# {path}\n\n``````{language}\n{file.read_text(encoding='utf-8').rstrip()}\n``````\n"


def _cell(text: str) -> str:
    return re.sub(r"([|*])", r"\\\1", _plain(text)).replace("\n", " ")


def _plain(text: str) -> str:
    return html.escape(" ".join(text.split()) if "\n\n" not in text else text, quote=False)


def _code(value: Any) -> str:
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{shown}`" if shown else ""
