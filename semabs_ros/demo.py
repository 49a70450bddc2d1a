"""``make demo``: player, node and client as separate processes over DDS, pictures into ``out/``."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from semabs_core.readers import (
    BAG,
    READERS,
    FrameSequence,
    open_sequence,
    parse_read_options,
    reader_of,
)
from semabs_core.readers.camera_topics import ROLES
from semabs_core.readers.recording import bag_files
from semabs_ros.domains import free_domain
from semabs_ros.programs import USAGE_ERROR, refuse

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT_S = 170.0
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends the demo."""


def scene_words(path: str, played: dict[str, str]) -> FrameSequence | None:
    """What is played, for its words; None for a recording.

    Args:
        path: of it; empty for the built-in room.
        played: the player's options.

    Raises:
        ValueError: if there is nothing to play, or an option is none.
    """
    if path and reader_of(Path(path)) is BAG:
        bag_files(Path(path))
        return None
    options = parse_read_options(played.get("read", ""))
    pose = played.get("camera_pose") or options.camera_pose
    return open_sequence(path, replace(options, camera_pose=pose))


def quoted(text: str) -> str:
    """A string for a ROS parameter on a command line."""
    return "'" + text.replace("'", "''") + "'"


def yaml_list(names: list[str]) -> str:
    """A list for a ROS parameter on a command line."""
    return "[" + ", ".join(map(quoted, names)) + "]"


class Demo:
    """The three processes and their logs."""

    def __init__(
        self,
        scene: str,
        config: str,
        out: Path,
        ask: str = "",
        played: dict[str, str] | None = None,
    ) -> None:
        self.scene, self.config, self.out, self.ask = scene, config, out, ask
        self.told = {name: value for name, value in (played or {}).items() if value}
        self.processes: dict[str, subprocess.Popen] = {}
        self._starting, self._signal = False, 0
        self.environment = {
            **os.environ,
            "ROS_DOMAIN_ID": os.environ.get("ROS_DOMAIN_ID") or str(free_domain()),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "PYTHONUNBUFFERED": "1",
        }

    def start(self, name: str, parameters: dict[str, str], shown: bool = False) -> None:
        """Start one of our modules as a process; its log goes to ``out`` unless it is shown."""
        command = [sys.executable, "-m", f"semabs_ros.{name}", "--ros-args"]
        for key, value in parameters.items():
            command += ["-p", f"{key}:={value}"]
        log = None if shown else (self.out / f"{name}.log").open("w")
        self._starting = True
        self.processes[name] = subprocess.Popen(
            command,
            env=self.environment,
            stdout=log,
            stderr=subprocess.STDOUT if log else None,
            start_new_session=True,  # Ctrl-C comes to the demo alone, which ends them
        )
        self._starting = False
        if self._signal:
            raise KeyboardInterrupt(self._signal)

    def interrupt(self, number: int, _: object) -> None:
        """A signal's handler: ends the demo as by Ctrl-C, and its processes with it.

        While a process is being started it waits: nobody would know of that process.
        """
        self._signal = number
        if not self._starting:
            raise KeyboardInterrupt(number)

    def run(self) -> int:
        """Run the demo; returns its exit code.

        Raises:
            ValueError: if there is nothing to play, or ``out`` cannot be written.
        """
        words = scene_words(self.scene, self.told)
        self.make_out()
        print(
            f"semabs demo: {self.scene or 'the built-in room'}; player, node and client start ..."
        )
        path = os.path.abspath(self.scene) if self.scene else ""
        classes, question = self.questions(words)
        told = {name: quoted(value) for name, value in self.told.items()}
        self.start("player", {"scene": quoted(path), **told})
        node = {"autostart": "true", "config_file": quoted(str(self.config)), **classes}
        if labels := getattr(words, "relevancy_labels", []):
            node["relevancy.file"] = quoted(path)
            print(f"semabs demo: the scene's own relevancy is used for {', '.join(labels)}")
        self.start("node", node)
        client = {"out": quoted(str(self.out)), "timeout_s": str(TIMEOUT_S)}
        self.start("client_node", {**client, **classes, **question}, shown=True)
        return self.watch()

    def make_out(self) -> None:
        """The folder for logs and pictures, with empty logs."""
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            for name in ("player", "node"):
                (self.out / f"{name}.log").write_bytes(b"")
        except OSError as error:
            raise ValueError(f"--out {self.out} cannot be written: {error.strerror}") from error

    def questions(self, words: FrameSequence | None) -> tuple[dict[str, str], dict[str, str]]:
        """Parameters for the classes and for the sentence; the scene's own, where it has some."""
        classes = {"classes": yaml_list(words.classes)} if words and words.classes else {}
        if self.ask:
            return classes, {"sentence": quoted(self.ask)}
        if words is None or not words.descriptions:
            return classes, {}
        names = ("target", "relation", "reference")
        return classes, dict(zip(names, map(quoted, words.descriptions[0]), strict=True))

    def watch(self) -> int:
        """Wait for the client; a player or node that dies ends the demo with its last words."""
        deadline = time.monotonic() + TIMEOUT_S + 60
        while time.monotonic() < deadline:
            code = self.processes["client_node"].poll()
            if code is not None:
                if code:
                    self.last_words("node")
                return code
            for name in ("player", "node"):
                code = self.processes[name].poll()
                if code == USAGE_ERROR:  # it has said in one line what it was given wrongly
                    self.last_words(name, 1)
                    return code
                if code is not None:
                    print(f"demo: the {name} ended by itself", file=sys.stderr)
                    self.last_words(name)
                    return 1
            time.sleep(0.1)
        print("demo: no answer in time", file=sys.stderr)
        self.last_words("node")
        return 1

    def last_words(self, name: str, count: int = 8) -> None:
        """Show the end of a process's log."""
        lines = (self.out / f"{name}.log").read_text(errors="replace").splitlines()[-count:]
        if count > 1:
            print(f"--- last lines of {self.out / name}.log", file=sys.stderr)
        print(*lines, sep="\n", file=sys.stderr)

    def stop(self) -> None:
        """End what still runs; a further Ctrl-C does not hinder it."""
        for sig in ENDING:
            signal.signal(sig, signal.SIG_IGN)
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        for process in self.processes.values():
            try:
                process.wait(timeout=8)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def argument_parser() -> argparse.ArgumentParser:
    """The command line; defaults come from the environment, as ``make demo NAME=...`` sets it."""
    parser = argparse.ArgumentParser(
        prog="demo", description="Run the whole system on a scene.", allow_abbrev=False
    )
    shown = ", ".join(reader.name for reader in READERS)
    given = os.environ.get
    parser.add_argument("--scene", default=given("SCENE", ""), help=f"a file or folder: {shown}")
    parser.add_argument("--config", default=str(ROOT / "config" / "demo.yaml"))
    parser.add_argument("--out", default=given("OUT", str(ROOT / "out")), type=Path)
    parser.add_argument("--ask", default=given("ASK", ""), help="'the mug behind the table lamp'")
    for role in ROLES:
        parser.add_argument(
            f"--{role}", default=given(role.upper(), ""), help="topic of a recording, if several"
        )
    parser.add_argument(
        "--camera-pose",
        default=given("CAMERA_POSE", ""),
        help="'x y z roll pitch yaw' (metres, degrees) for a recording without TF, or an image",
    )
    parser.add_argument(
        "--read", default=given("READ", ""), help="what files do not say: 'up=y depth_scale=5000'"
    )
    return parser


def main() -> None:
    """Run the demo; what cannot be played or written is one line and exit code 2."""
    arguments = argument_parser().parse_args()
    played = {f"{role}_topic": getattr(arguments, role) for role in ROLES}
    played |= {"camera_pose": arguments.camera_pose, "read": arguments.read}
    demo = Demo(arguments.scene, arguments.config, arguments.out, arguments.ask, played)
    for sig in ENDING:
        signal.signal(sig, demo.interrupt)
    try:
        code = demo.run()
    except KeyboardInterrupt as interrupted:
        code = 128 + int(str(interrupted) or signal.SIGINT)
    except ValueError as error:
        refuse("demo", str(error))
    finally:
        demo.stop()
    sys.exit(code)


if __name__ == "__main__":
    main()
