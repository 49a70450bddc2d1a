"""``semabs doctor``: why nothing comes out, and what to do."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from semabs_core.commands.common import check_folder, say
from semabs_core.commands.options import Read

if TYPE_CHECKING:
    from semabs_core.config import RegionConfig
    from semabs_core.doctor.examine import Examination

EXAMPLE = "Example: semabs doctor my_bag --out out"
MARKS = (("ok", "green"), ("warning", "yellow"), ("ERROR", "bold red"))
LIVE = "semabs_ros.doctor"


def doctor(
    path: Annotated[
        Path | None, typer.Argument(help="recording, scene file, folder or picture")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="the camera that publishes now (needs ROS)")
    ] = False,
    config: Annotated[
        Path | None, typer.Option(help="YAML file, or the name of one that ships: region, models")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="folder for the picture doctor.png")] = None,
    read: Read = "",
    seconds: Annotated[float, typer.Option(help="how long --live listens", min=1)] = 10.0,
) -> None:
    """Check what people get wrong, and say what to do."""
    if live:
        if path is not None:
            raise typer.BadParameter("give a path, or --live, not both")
        raise typer.Exit(_live(config, out, read, seconds))
    from semabs_core.config import SemabsConfig, load_config
    from semabs_core.doctor.examine import examine
    from semabs_core.readers import parse_read_options

    options = load_config(config) if config else SemabsConfig()
    told = parse_read_options(read)
    if out is not None:
        check_folder(out)
    result = examine(path or "", told, options)
    tell(result, options.region, out)
    if result.report.failed:
        raise typer.Exit(1)


def tell(result: Examination, region: RegionConfig, out: Path | None) -> None:
    """Print the findings and the verdict; draw the picture."""
    from rich.table import Table
    from rich.text import Text

    from semabs_core.doctor.picture import draw_region, save_picture

    verdict = result.report.verdict()
    table = Table("", "what", "found", "what to do", show_lines=False)
    for finding in result.report.sorted():
        row = (Text(finding.subject), Text(finding.text), Text(finding.remedy))
        table.add_row(Text(*MARKS[finding.level]), *row)
    say(table)
    if out is not None and result.frame is not None:
        save_picture(draw_region(result.frame, region, verdict), out / "doctor.png")
        say(f"written: {out / 'doctor.png'}")
    say(f"VERDICT: {verdict}")


def _live(config: Path | None, out: Path | None, read: str, seconds: float) -> int:
    """The examination of what is published now, by the ROS side; its exit code."""
    if importlib.util.find_spec("rclpy") is None or importlib.util.find_spec("semabs_ros") is None:
        raise typer.BadParameter(
            "--live needs ROS 2: source it (source /opt/ros/$ROS_DISTRO/setup.bash and the "
            "workspace), or record a bag and give its path"
        )
    if out is not None:
        check_folder(out)
    command = [sys.executable, "-m", LIVE, "--seconds", str(seconds), "--read", read]
    command += ["--config", str(config)] if config else []
    command += ["--out", str(out)] if out else []
    return subprocess.run(command).returncode
