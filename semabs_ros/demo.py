"""``make demo``: player, node and client as separate processes over DDS, pictures into ``out/``."""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from semabs_core.data.scene_file import (
    SCENE_SUFFIXES,
    Scene,
    SceneError,
    built_in_scene,
    load_scene,
)
from semabs_ros.camera_topics import ROLES

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT_S = 170.0


def scene_words(path: str) -> Scene | None:
    """The scene that is played, for its words; None for a bag."""
    if not path:
        return built_in_scene()
    return load_scene(path) if Path(path).suffix in SCENE_SUFFIXES else None


def quoted(text: str) -> str:
    """A string for a ROS parameter on a command line."""
    return "'" + text.replace("'", "''") + "'"


def yaml_list(names: list[str]) -> str:
    """A list for a ROS parameter on a command line."""
    return "[" + ", ".join(map(quoted, names)) + "]"


class Demo:
    """The three processes and their logs."""

    def __init__(self, scene: str, config: str, out: Path, ask: str = "", **topics: str) -> None:
        self.scene, self.config, self.out, self.ask = scene, config, out, ask
        self.topics = {f"{role}_topic": quoted(topic) for role, topic in topics.items() if topic}
        self.processes: dict[str, subprocess.Popen] = {}
        self.environment = {
            **os.environ,
            "ROS_DOMAIN_ID": os.environ.get("ROS_DOMAIN_ID") or str(random.randint(1, 100)),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "PYTHONUNBUFFERED": "1",
        }

    def start(self, name: str, parameters: dict[str, str], shown: bool = False) -> None:
        """Start one of our modules as a process; its log goes to ``out`` unless it is shown."""
        command = [sys.executable, "-m", f"semabs_ros.{name}", "--ros-args"]
        for key, value in parameters.items():
            command += ["-p", f"{key}:={value}"]
        log = None if shown else (self.out / f"{name}.log").open("w")
        self.processes[name] = subprocess.Popen(
            command, env=self.environment, stdout=log, stderr=subprocess.STDOUT if log else None
        )

    def run(self) -> int:
        """Run the demo; returns its exit code."""
        try:
            words = scene_words(self.scene)
        except SceneError as error:
            print(f"demo: {error}", file=sys.stderr)
            return 2
        self.out.mkdir(parents=True, exist_ok=True)
        print(
            f"semabs demo: {self.scene or 'the built-in room'}; player, node and client start ..."
        )
        path = os.path.abspath(self.scene) if self.scene else ""
        player = {"scene": quoted(path), **self.topics}
        classes: dict[str, str] = {}
        question: dict[str, str] = {}
        if words is not None and words.classes:
            classes = {"classes": yaml_list(words.classes)}
        if self.ask:
            question = {"sentence": self.ask}
        elif words is not None and words.descriptions:
            names = ("target", "relation", "reference")
            question = dict(zip(names, words.descriptions[0], strict=True))
        self.start("player", player)
        self.start(
            "node", {"autostart": "true", "config_file": quoted(str(self.config)), **classes}
        )
        client = {"out": quoted(str(self.out)), "timeout_s": str(TIMEOUT_S), **classes}
        client |= {key: quoted(value) for key, value in question.items()}
        self.start("client", client, shown=True)
        return self.watch()

    def watch(self) -> int:
        """Wait for the client; a player or node that dies ends the demo with its last words."""
        deadline = time.monotonic() + TIMEOUT_S + 60
        while time.monotonic() < deadline:
            code = self.processes["client"].poll()
            if code is not None:
                if code:
                    self.last_words("node")
                return code
            for name in ("player", "node"):
                if self.processes[name].poll() is not None:
                    print(f"demo: the {name} ended by itself", file=sys.stderr)
                    self.last_words(name)
                    return 1
            time.sleep(0.1)
        print("demo: no answer in time", file=sys.stderr)
        self.last_words("node")
        return 1

    def last_words(self, name: str) -> None:
        """The end of a process's log."""
        lines = (self.out / f"{name}.log").read_text(errors="replace").splitlines()[-8:]
        print(f"--- last lines of {self.out / name}.log", *lines, sep="\n", file=sys.stderr)

    def stop(self) -> None:
        """End what still runs."""
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process in self.processes.values():
            try:
                process.wait(timeout=8)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Run the whole system on a scene.")
    parser.add_argument("--scene", default="", help=".npz/.hdf5 scene, rosbag2 folder or .mcap")
    parser.add_argument("--config", default=str(ROOT / "config" / "demo.yaml"))
    parser.add_argument("--out", default=str(ROOT / "out"), type=Path)
    parser.add_argument("--ask", default="", help="'the mug behind the lamp'")
    for role in ROLES:
        parser.add_argument(f"--{role}", default="", help="topic of a bag; guessed where empty")
    arguments = parser.parse_args()
    topics = {role: getattr(arguments, role) for role in ROLES}
    demo = Demo(arguments.scene, arguments.config, arguments.out, arguments.ask, **topics)
    try:
        code = demo.run()
    except KeyboardInterrupt:
        code = 130
    finally:
        demo.stop()
    sys.exit(code)


if __name__ == "__main__":
    main()
