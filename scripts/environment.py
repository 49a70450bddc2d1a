#!/usr/bin/env python3
"""Make everything that ``make demo`` and ``make test`` need, and print the script to source.

With a sourced ROS 2 it makes a virtual environment on top of that ROS; without one it installs a
real rclpy and the message packages from PyPI and builds the stand-ins of ``underlay/``.
Incremental: what is up to date is left alone. Standard library only, because it runs before
anything is installed.
"""

from __future__ import annotations

import argparse
import fcntl
import glob
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import versions
from machine import PYTHON, fail, install_system_packages, native_distro, run, say, system_packages

ROOT = Path(__file__).resolve().parent.parent


def digest(*parts: str | Path) -> str:
    """Fingerprint of strings and files."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part.read_bytes() if isinstance(part, Path) else part.encode())
    return total.hexdigest()


def fresh(stamp: Path, key: str) -> bool:
    """Whether the step behind a stamp was done for this key."""
    return stamp.exists() and stamp.read_text() == key


class Environment:
    """One environment: its folder, virtual environment and colcon workspace."""

    def __init__(self, distro: str, native: bool, wanted: str) -> None:
        self.distro, self.native, self.versions = distro, native, wanted
        version = f"py{sys.version_info.major}.{sys.version_info.minor}"
        name = f"{'native-' if native else ''}{distro}-{version}"
        name += "" if wanted == "tested" else f"-{wanted}"
        self.folder = ROOT / ".semabs" / name
        self.venv = self.folder / "venv"
        self.install = self.folder / "install"
        self.python = self.venv / "bin" / "python"

    def make(self) -> Path:
        """Do what is not done yet; returns the script to source."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (ROOT / ".semabs" / "COLCON_IGNORE").touch()
        with (self.folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("another set-up of this environment is running; waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            return self._make()

    def _make(self) -> Path:
        self._install_packages()
        if not self.native:
            self._mend_exports()
        self._build()
        return self._write_script()

    def _install_packages(self) -> None:
        files = [ROOT / "pyproject.toml"]
        if not self.native:
            files += [
                ROOT / f"requirements/ros-{self.distro}.txt",
                ROOT / "requirements/pip-only.txt",
            ]
        stamp = self.folder / "packages.stamp"
        limits = versions.constraints(self.versions, system_packages() if self.native else ())
        key = digest(sys.version, str(self.folder), *files, *limits)
        if fresh(stamp, key) and self.python.exists():
            return
        stamp.unlink(missing_ok=True)
        install_system_packages()
        say(f"virtual environment {self.venv}")
        options = ["--system-site-packages"] if self.native else []
        run([PYTHON, "-m", "venv", *options, str(self.venv)])
        packages = ["--editable", f"{ROOT}[app,dev,docs]"]
        if not self.native:
            packages += [part for file in files[1:] for part in ("-r", str(file))]
        elif not shutil.which("colcon"):
            packages += ["colcon-common-extensions", "cmake", "ninja"]
        say("pip packages (torch among them: about 3 GB on the first run)")
        self._pip(packages, limits)
        stamp.write_text(key)

    def _pip(self, packages: list[str], limits: list[str]) -> None:
        """Install within limits; where an index does not serve the tested versions, without."""
        file = self.folder / "constraints.txt"
        pip = [str(self.python), "-m", "pip", "install", "--disable-pip-version-check", "-q"]
        pip += ["--no-user", *packages, "-c", str(file)]
        environ = dict(os.environ)
        if not self.native:
            environ.pop("PYTHONPATH", None)  # what lies there would count as installed
        kept = self._kept()
        file.write_text("\n".join([*kept, *limits]) + "\n")
        if self.versions == "tested":
            done = subprocess.run(
                pip, env=environ, stdout=sys.stderr, stderr=subprocess.PIPE, text=True
            )
            if done.returncode == 0:
                return
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
            reason = (errors or ["ERROR: pip failed"])[0].removeprefix("ERROR: ")
            say(f"not in the tested versions ({reason[:200]}); by the bounds of pyproject.toml")
            file.write_text("\n".join(kept) + "\n")
        run(pip, env=environ)

    def _kept(self) -> list[str]:
        """The NumPy that apt's ROS packages were built against."""
        there = system_packages() if self.native else {}
        return [f"numpy=={there['numpy']}"] if "numpy" in there else []

    def _mend_exports(self) -> None:
        """Point the wheels' CMake exports at this machine's headers instead of their builder's."""
        stamp = self.folder / "exports.stamp"
        key = digest((self.folder / "packages.stamp").read_text())
        if fresh(stamp, key):
            return
        tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        builder = f"/opt/python/{tag}-{tag}"
        code = (
            "import numpy, sysconfig;"
            "print(sysconfig.get_path('include'), numpy.get_include(), sep='\\n')"
        )
        found = subprocess.run(
            [self.python, "-c", code], capture_output=True, text=True, check=True
        )
        include, numpy_include = found.stdout.splitlines()
        for name in glob.glob(str(self.venv / "share/*/cmake/*Export*.cmake")):
            file = Path(name)
            text = file.read_text()
            mended = text.replace(f"{builder}/include/{version}", include)
            numpy_path = f"{builder}/lib/{version}/site-packages/numpy/_core/include"
            mended = mended.replace(numpy_path, numpy_include)
            if mended != text:
                file.write_text(mended)
        stamp.write_text(key)

    def _build(self) -> None:
        """Build the interfaces (and the stand-ins) with colcon, when what goes in has changed."""
        patterns = ["CMakeLists.txt", "package.xml", "setup.py"]
        patterns += ["msg/*", "action/*", "srv/*", "launch/*", "config/*"]
        patterns += [f"scripts/{name}" for name in ("semabs_node", "player", "client")]
        bases = [self._staged()]
        if not self.native:
            bases += sorted(path.parent for path in (ROOT / "underlay").glob("*/package.xml"))
            patterns += ["underlay/*/*.txt", "underlay/*/*.xml", "underlay/tf2_msgs/*/*"]
        files = sorted(
            file for pattern in patterns for file in ROOT.glob(pattern) if file.is_file()
        )
        names = [str(file) for file in files]
        stamp = self.folder / "build.stamp"
        packages = (self.folder / "packages.stamp").read_text()
        key = digest(packages, *names, *files)
        if fresh(stamp, key) and (self.install / "setup.bash").exists():
            return
        stamp.unlink(missing_ok=True)
        say("colcon build")
        environ = {**os.environ, "PATH": f"{self.venv / 'bin'}:{os.environ['PATH']}"}
        if not self.native:
            environ.pop("PYTHONPATH", None)
            environ |= {"AMENT_PREFIX_PATH": str(self.venv), "CMAKE_PREFIX_PATH": str(self.venv)}
        command = ["colcon", "--log-base", str(self.folder / "log"), "build", "--merge-install"]
        command += ["--build-base", str(self.folder / "build")]
        command += ["--install-base", str(self.install), "--base-paths", *map(str, bases)]
        command += ["--event-handlers", "console_stderr+", "--cmake-args", "-DBUILD_TESTING=OFF"]
        command += [
            f"-D{name}={self.python}" for name in ("Python3_EXECUTABLE", "PYTHON_EXECUTABLE")
        ]
        run(command, env=environ, cwd=ROOT)
        stamp.write_text(key)

    def _staged(self) -> Path:
        """A folder of links to the package's sources.

        CMake refuses to export include folders (NumPy's, in the virtual environment) that lie below
        a package's source folder, so the environment must not be below it.
        """
        staged = self.folder / "src" / "semabs"
        staged.mkdir(parents=True, exist_ok=True)
        entries = ["CMakeLists.txt", "package.xml", "semabs_core", "semabs_ros", "msg", "action"]
        for name in [*entries, "srv", "launch", "config", "scripts", "test"]:
            link = staged / name
            if not link.is_symlink():
                link.symlink_to(ROOT / name)
        return staged

    def _write_script(self) -> Path:
        """The script to source; in it the tree comes before installed copies."""
        sources = [ROOT]
        lines = ["# Made by scripts/environment.py; source it."]
        if not self.native:
            sources += sorted(path.parent for path in (ROOT / "underlay").glob("*/package.xml"))
            lines += ["unset AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH PYTHONPATH"]
            lines += [f"export AMENT_PREFIX_PATH={shlex.quote(str(self.venv))}"]
            lines += [f"export ROS_DISTRO={self.distro} ROS_VERSION=2 ROS_PYTHON_VERSION=3"]
        path = ":".join(map(str, sources))
        lines += [
            f"export VIRTUAL_ENV={shlex.quote(str(self.venv))}",
            'export PATH="$VIRTUAL_ENV/bin:$PATH"',
            # colcon's script does not quote its Python: one whose path needs no quotes.
            f"export COLCON_PYTHON_EXECUTABLE={shlex.quote(PYTHON)}",
            f"source {shlex.quote(str(self.install / 'setup.bash'))}",
            "unset COLCON_PYTHON_EXECUTABLE",
            f'export PYTHONPATH={shlex.quote(path)}"${{PYTHONPATH:+:$PYTHONPATH}}"',
            "# rclpy does not start where it cannot write its log.",
            '_log="${ROS_LOG_DIR:-${ROS_HOME:-$HOME/.ros}/log}"',
            '{ mkdir -p "$_log" && [ -w "$_log" ]; } 2>/dev/null ||',
            f"    export ROS_LOG_DIR={shlex.quote(str(self.folder / 'ros-log'))}",
            "unset _log",
        ]
        script = self.folder / "env.sh"
        text = "\n".join(lines) + "\n"
        if not script.exists() or script.read_text() != text:
            script.write_text(text)
        return script


def main() -> None:
    """Command line: ``environment.py [--distro NAME] [--versions tested] [--native-only]``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--distro", default="", help="distro of the PyPI wheels (kilted, jazzy)")
    parser.add_argument(
        "--versions", default="tested", choices=versions.CHOICES, help="of Python packages"
    )
    parser.add_argument("--native-only", action="store_true", help="fail without a sourced ROS 2")
    arguments = parser.parse_args()
    first, last = versions.python_range()
    if not first <= sys.version_info[:2] <= last:
        found, allowed = sys.version.split()[0], "{}.{} to {}.{}".format(*first, *last)
        fail(f"Python {allowed} is needed, this is {found}: add PYTHON=python{last[0]}.{last[1]}")
    native = native_distro()
    if arguments.native_only and native is None:
        fail("no sourced ROS 2: source /opt/ros/<distro>/setup.bash first, or use make demo")
    if native and arguments.distro not in ("", native):
        fail(f"ROS {native} is sourced but DISTRO={arguments.distro}: use a shell without that ROS")
    distro = native or arguments.distro or "kilted"
    if native is None and not (ROOT / f"requirements/ros-{distro}.txt").exists():
        fail(f"there are no wheels for {distro!r}; DISTRO must be kilted or jazzy")
    try:
        print(Environment(distro, native is not None, arguments.versions).make())
    except KeyboardInterrupt:
        fail("interrupted; the same command goes on")
    except OSError as error:
        fail(f"cannot set up in {ROOT}: {error}")


if __name__ == "__main__":
    main()
