"""The packages; all else is declared in pyproject.toml, data files by MANIFEST.in."""

from setuptools import find_packages, setup

# config/ belongs to the launch files; a wheel carries it beside the core, which finds its files by
# name there.
setup(
    packages=[*find_packages(include=["semabs_core*", "semabs_ros*"]), "semabs_core.configs"],
    package_dir={"semabs_core.configs": "config"},
)
