"""Frozen, documented configuration; YAML in and out; all errors of a file reported together.

The descriptions, ranges and units below are what the node shows as parameter descriptors too.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_type_hints

import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from semabs_core.config_files import config_names, find_config
from semabs_core.files import write_atomic
from semabs_core.text import shorten
from semabs_core.weights.shipped import LOCAL

T = TypeVar("T")
UNTRAINED = "untrained"
"""A checkpoint's name that stands for a small network with seeded random weights."""

MEAN_VOCABULARY = (
    "wall", "floor", "ceiling", "door", "window", "table", "chair", "sofa", "bed", "cupboard",
    "shelf", "lamp", "curtain", "carpet", "sink", "box", "bottle", "book", "bag", "cup", "plant",
    "picture", "towel", "computer",
)  # fmt: skip
"""Everyday words whose mean map is what every map is measured against (relevancy, step 7)."""

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
"""How all config dataclasses are validated: no unknown names, no NaN or infinity."""


class ConfigError(ValueError):
    """A configuration is wrong; the message lists every fault with its place."""


def option(
    default: Any, description: str, *, live: bool = False, unit: str = "", **limits: Any
) -> Any:
    """A config field: default, description, whether a running node may change it, unit, limits."""
    extra: dict[str, Any] = {"live": live, "unit": unit}
    text = f"{description} [{unit}]" if unit else description
    if callable(default):
        return Field(default_factory=default, description=text, json_schema_extra=extra, **limits)
    return Field(default, description=text, json_schema_extra=extra, **limits)


@dataclass(frozen=True, config=STRICT)
class EncoderConfig:
    """The vision-language model."""

    model: str = option(
        "shipped:encoder_fine", "open_clip model name, local-dir:FOLDER, or shipped:NAME"
    )
    pretrained: str | None = option(
        None, "open_clip pretrained tag or checkpoint file; unset with local-dir: and shipped:"
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = option(
        "auto",
        "number format; auto is the fastest, which a CPU with bf16 measures",
    )


@dataclass(frozen=True, config=STRICT)
class RelevancyConfig:
    """How relevancy maps are made. Networks want the relevancy that they were trained with."""

    preset: Literal["ours", "chefer_et_al", "fast", "sparse", "mosaic"] | None = option(
        None,
        "how a picture is cut up: ours (exact), fast, sparse (less overlap), mosaic (small tiles "
        "too, but not close by), chefer_et_al (not at all); unset: the checkpoint's, else ours",
    )
    tiling: Literal["full", "published"] = option(
        "full", "full covers the whole image, published is for parity only"
    )
    prompts: list[str] | None = option(
        None,
        "sentences with one {} for the name, their features are averaged; unset: the checkpoint's, "
        "else those that the encoder was calibrated with, else 'a photograph of a {} in a home.'",
    )
    mean: Literal["vocabulary", "request"] = option(
        "vocabulary",
        "which mean map is subtracted: of the mean vocabulary, or of the requested words with it, "
        "which what is completed from evidence always has",
    )
    mean_vocabulary: list[str] | None = option(
        None, "words of the mean map; unset: the checkpoint's, else the package's default"
    )
    augmentations: int | None = option(
        None, "colour-jittered copies; unset: the checkpoint's, else the preset's", ge=0, le=64
    )
    refine: bool | None = option(
        None,
        "spread relevancy along the edges of colour and depth before networks read it; unset: as "
        "they were trained. For networks that read evidence",
    )
    file: str = option(
        "", "scene file whose own relevancy stands for the encoder's in its pictures; empty: none"
    )
    rollout_layers: int = option(
        1, "attention layers the relevancy is rolled out over", ge=1, le=48
    )
    tile_batch: int | None = option(
        None,
        "tiles per forward pass, bounds the memory; unset: 128 on GPU, at most 64 per core",
        ge=1,
        le=4096,
    )
    keep_tiles: bool = option(
        True, "keep a frame's embedded tiles, so that a new word costs a fraction of the first"
    )
    still_tolerance: float = option(
        6.0, "gray levels within which parts of a kept tile are unchanged; 0: none", ge=0, le=255
    )


@dataclass(frozen=True, config=STRICT)
class RegionConfig:
    """The cube that is completed, in the viewer frame (below the camera, x forward, z up)."""

    floor_z_m: float = option(
        0.0, "height of the floor in the world frame", live=True, unit="m", ge=-100_000, le=100_000
    )
    region_min_m: tuple[float, float, float] = option(
        (2.5 / 3, -5 / 3, 0.0),
        "lower corner of the region in the viewer frame",
        live=True,
        unit="m",
    )
    region_size_m: float = option(
        10 / 3, "edge of the region", live=True, unit="m", gt=0.01, le=100
    )
    input_margin_m: float = option(
        0.05,
        "depth readings so far outside the region are moved to its border and kept, so that the "
        "floor counts although the region ends there and the camera's height is not exact",
        live=True,
        unit="m",
        ge=0,
        le=1,
    )


@dataclass(frozen=True, config=STRICT)
class QueryConfig:
    """Where a network is asked: a dense grid, less what the camera rules out."""

    resolution: int = option(64, "query points (voxels) per axis", live=True, ge=4, le=512)
    mask_frustum: bool = option(True, "leave out what is outside the camera's view", live=True)
    mask_free_space: bool = option(True, "leave out what the camera looked through", live=True)
    free_space_margin_m: float = option(
        0.05,
        "how far before a measured surface space counts as free; what holds readings never does",
        live=True,
        unit="m",
        ge=0,
        le=10,
    )


@dataclass(frozen=True, config=STRICT)
class CompletionConfig(QueryConfig):
    """Open-vocabulary semantic scene completion."""

    checkpoint: str = option(
        "shipped:completion_any",
        "checkpoint folder, shipped:NAME, published:NAME (such as published:ours/ovssc), or "
        "'untrained' for random weights",
    )
    cutoff: float | None = option(
        None, "logit below which a voxel is free; unset: the checkpoint's, another for surfaces",
        live=True, ge=-100, le=100,
    )  # fmt: skip
    min_presence: float = option(
        0.04, "classes that the picture shows with less probability, by the encoder, get no voxel",
        live=True, ge=0, le=1,
    )  # fmt: skip


@dataclass(frozen=True, config=STRICT)
class LocalizationConfig(QueryConfig):
    """Visually obscured object localization."""

    checkpoint: str = option(
        "shipped:localization_fine",
        "checkpoint folder, shipped:NAME, published:NAME (such as published:ours/vool), or "
        "'untrained' for random weights",
    )
    region_margin: float | None = option(
        None, "regions end where logits are so far below their best; unset: the checkpoint's",
        live=True, ge=0, le=50,
    )  # fmt: skip


@dataclass(frozen=True, config=STRICT)
class SemabsConfig:
    """Everything that :class:`semabs_core.pipeline.SceneUnderstanding` needs."""

    device: str = option("auto", "torch device; auto is the first GPU, else the CPU")
    seed: int = option(
        0, "of the point subsampling, the colour jitter and untrained networks", ge=0
    )
    network_precision: Literal["auto", "fp32", "bf16", "fp16"] = option(
        "auto",
        "number format of the 3D networks; auto is the fastest, which a CPU with bf16 measures",
    )
    num_input_points: int = option(
        80_000, "at most this many depth readings go into the networks", ge=100, le=10_000_000
    )
    query_batch: int | None = option(
        None,
        "query points per decoder call, bounds the memory; unset: 16384 on CPU, 262144 on GPU",
        ge=1024,
        le=100_000_000,
    )
    volume_cache_mb: int = option(
        2048, "memory for a frame's volumes, one per name and request", unit="MiB", ge=0, le=10**6
    )
    map_cache_mb: int = option(
        512, "memory for a frame's relevancy maps, one per word", unit="MiB", ge=0, le=1_000_000
    )
    encoder: EncoderConfig = Field(default_factory=EncoderConfig)
    relevancy: RelevancyConfig = Field(default_factory=RelevancyConfig)
    region: RegionConfig = Field(default_factory=RegionConfig)
    completion: CompletionConfig = Field(default_factory=CompletionConfig)
    localization: LocalizationConfig = Field(default_factory=LocalizationConfig)


_PATHS = (("completion", "checkpoint"), ("localization", "checkpoint"))


def _resolve(path: str, base: Path) -> str:
    """A relative path of a config file, relative to that file where something is there."""
    prefix = LOCAL if path.startswith(LOCAL) else ""
    candidate = base / path.removeprefix(prefix)
    relative = bool(path) and not Path(path.removeprefix(prefix)).is_absolute()
    return prefix + str(candidate.resolve()) if relative and candidate.exists() else path


def nest(values: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted names (``data.num_labels``) to nested mappings.

    Raises:
        ConfigError: if a name is set both to a value and to a mapping.
    """
    nested: dict[str, Any] = {}
    for name, value in values.items():
        *path, leaf = name.split(".")
        place = nested
        for part in path:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise ConfigError(f"{name} cannot be set beside {part}: {shorten(repr(place))}")
        place[leaf] = value
    return nested


def validate(cls: type[T], values: Any, where: str) -> T:
    """A mapping to a config dataclass.

    Raises:
        ConfigError: with every unknown name, wrong type and value out of range.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"{where} must be a mapping, got {type(values).__name__}")
    try:
        return TypeAdapter(cls).validate_python(values)
    except ValidationError as error:
        faults = [_fault(cls, fault) for fault in error.errors()]
        raise ConfigError(f"{len(faults)} fault(s) in {where}:\n" + "\n".join(faults)) from None


def _fault(cls: type, fault: Any) -> str:
    """A line on one of pydantic's faults; of an unknown name with those that are known."""
    *path, name = fault["loc"] or ("",)
    said = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "unexpected_keyword_argument":
        for part in path:
            cls = get_type_hints(cls)[part]
        known = [field.name for field in dataclasses.fields(cls)]
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        said = f"no such option ({hint})"
    where = ".".join(map(str, fault["loc"]))
    return f"  {': '.join(filter(None, (where, said)))}, got {shorten(repr(fault['input']))}"


def read_yaml(path: str | os.PathLike) -> dict[str, Any]:
    """The mapping in a YAML file, or in the package's of that name; an empty file is an empty one.

    Raises:
        ConfigError: if it cannot be read or holds anything else.
    """
    file = find_config(path)
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        known = ", ".join(config_names())
        raise ConfigError(
            f"cannot read the config {file}: {error.strerror}; by name alone there are {known}"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not YAML: {error}") from error
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise ConfigError(f"{file} must be a mapping, got {type(content).__name__}")
    return content


def save_config(config: Any, path: str | os.PathLike) -> None:
    """Write a config dataclass as YAML, beside and renamed."""
    values = TypeAdapter(type(config)).dump_python(config, mode="json")
    write_atomic(path, yaml.safe_dump(values, sort_keys=False))


def parse_config(values: Any, where: str = "config") -> SemabsConfig:
    """A mapping to the pipeline's config, see :func:`validate`."""
    return validate(SemabsConfig, values, where)


def load_config(path: str | os.PathLike) -> SemabsConfig:
    """Read a YAML file, or the package's of that name (``semabs.yaml``).

    Checkpoints and ``local-dir:`` folders may be relative to the file.
    """
    config = parse_config(read_yaml(path), str(path))
    base = find_config(path).parent
    changes: dict[str, Any] = {}
    for section, name in (*_PATHS, ("encoder", "model"), ("relevancy", "file")):
        part = getattr(config, section)
        changes[section] = dataclasses.replace(part, **{name: _resolve(getattr(part, name), base)})
    return dataclasses.replace(config, **changes)


def fixed_changes(old: Any, new: Any, prefix: str = "") -> list[str]:
    """Dotted names of options that differ between two configs, but for those that are ``live``."""
    names = []
    for name, info in type(old).__pydantic_fields__.items():
        before, after = getattr(old, name), getattr(new, name)
        if dataclasses.is_dataclass(before):
            names += fixed_changes(before, after, f"{prefix}{name}.")
        elif before != after and not (info.json_schema_extra or {}).get("live"):
            names.append(prefix + name)
    return names
