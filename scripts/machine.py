"""What the machine brings: system packages, a sourced ROS, the Python that all is built on.

Standard library only, because it runs before anything is installed.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from versions import canonical

PYTHON = getattr(sys, "_base_executable", "") or sys.executable
"""The machine's own Python, also where a virtual environment is active."""
LIBRARIES = {
    "libusb-1.0.so.0": "libusb-1.0-0",
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libX11.so.6": "libx11-6",
    "libgomp.so.1": "libgomp1",
}
"""Shared libraries that Open3D and torch load, and the Debian packages that hold them."""


def say(message: str) -> None:
    """Progress for people; standard output is for the caller."""
    print(f"[semabs setup] {message}", file=sys.stderr, flush=True)


def fail(message: str) -> None:
    """End with one clear line."""
    say(f"ERROR: {message}")
    sys.exit(1)


def run(command: list[str], **kwargs) -> None:
    """Run a step; its output goes to standard error, a failure ends the set-up."""
    done = subprocess.run(command, stdout=sys.stderr, **kwargs)
    if done.returncode:
        fail(f"this step failed with exit code {done.returncode}: {shlex.join(command)}")


def missing_system_packages() -> list[str]:
    """Debian packages that are needed and not there."""
    missing = []
    for library, package in LIBRARIES.items():
        try:
            ctypes.CDLL(library)
        except OSError:
            missing.append(package)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if subprocess.run([PYTHON, "-c", "import ensurepip"], capture_output=True).returncode:
        missing.append(f"python{version}-venv")
    if not shutil.which("g++"):
        missing.append("g++")
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        missing.append(f"python{version}-dev")
    return missing


def install_system_packages() -> None:
    """Install what is missing when that is possible without asking, else name all of it."""
    missing = missing_system_packages()
    if not missing:
        return
    sudo: list[str] | None = [] if os.geteuid() == 0 else None
    if sudo is None and shutil.which("sudo"):
        allowed = subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0
        sudo = ["sudo", "-n"] if allowed else None
    if sudo is None or not shutil.which("apt-get"):
        fail("system packages are missing; run: sudo apt-get install " + " ".join(missing))
    say("installing system packages: " + " ".join(missing))
    run([*sudo, "apt-get", "update", "-qq"])
    env = ["env", "DEBIAN_FRONTEND=noninteractive"]
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
    run([*sudo, *env, *install])
    still = missing_system_packages()
    if still:
        fail("system packages are still missing: " + " ".join(still))


def native_distro() -> str | None:
    """The distro of a sourced ROS whose rclpy Python imports; None where there is none.

    A prefix below a folder ``.semabs`` is an environment that this script made, here or in another
    checkout.
    """
    command = [sys.executable, "-c", "import rclpy; print(rclpy.__file__)"]
    found = subprocess.run(command, capture_output=True, text=True, cwd="/")
    if found.returncode:
        return None
    module = Path(found.stdout.strip()).resolve()
    prefixes = [Path(p).resolve() for p in os.environ.get("AMENT_PREFIX_PATH", "").split(":") if p]
    sourced = any(
        module.is_relative_to(prefix) for prefix in prefixes if ".semabs" not in prefix.parts
    )
    return os.environ.get("ROS_DISTRO", "unknown") if sourced else None


def system_packages() -> dict[str, str]:
    """Name to version of the packages that the machine's own Python has, a sourced ROS's too."""
    code = (
        "import importlib.metadata as m;"
        "print(*(f'{d.name}=={d.version}' for d in m.distributions() if d.name), sep='\\n')"
    )
    found = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, cwd="/")
    pairs = (line.partition("==") for line in found.stdout.splitlines())
    return {canonical(name): version for name, _, version in pairs}
