"""What a network is: its task and approach, what it reads, its sizes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from semabs_core.relevancy import RELEVANCY_GAIN
from semabs_core.voxels import SAMPLINGS

TASKS = ("completion", "localization")
APPROACHES = ("semantic_abstraction", "semantic_aware", "clip_spatial")
POINTING_METHODS = ("cosine_sim", "dot_product", "additive")
RELATIONS = ("in", "behind", "in front of", "on the left of", "on the right of", "on")
"""The published relations, which a network knows if its config names no others."""
PAD_RELATION = "[pad]"
"""What stands in the relation's place of a row that is padding."""
INPUT_WIDTHS = {"patch_masks": 1, "saliency": 1, "rivals": 1, "rgb": 3, "tsdf": 0}
"""What networks may read, and how wide each is per point: a TSDF is a volume, not of points."""
NORMALIZATIONS = ("gain", "evidence")
"""``gain``: relevancy less the mean map times 50, as published (step 7); ``evidence``: without a
scale, see :mod:`semabs_core.evidence`."""


def choose_inputs(approach: str, inputs: Sequence[str] = ()) -> tuple[str, ...]:
    """What a network reads, in the order of :data:`INPUT_WIDTHS`.

    Args:
        approach: of the network.
        inputs: names; none for the approach's own, ``saliency`` or (``semantic_aware``) ``rgb``.

    Raises:
        ValueError: if a name is unknown, or the approach does not read it.
    """
    aware = approach == "semantic_aware"
    named = inputs or [("saliency", "rgb")[aware]]
    chosen = tuple(name for name in INPUT_WIDTHS if name in named)
    unknown = [name for name in inputs if name not in INPUT_WIDTHS]
    relevancy = [name for name in chosen if name in ("patch_masks", "saliency")]
    read = {*relevancy, *({"rivals"} & set(chosen))}
    if unknown or (("rgb" not in chosen or read) if aware else len(relevancy) != 1):
        wanted = (
            "rgb, and perhaps tsdf"
            if aware
            else "saliency or patch_masks, and perhaps rivals, rgb and tsdf"
        )
        raise ValueError(f"network_inputs of {approach} must be {wanted}; got {', '.join(inputs)}")
    return chosen


def point_width(inputs: Sequence[str]) -> int:
    """Width F of what a network reads per point."""
    return sum(INPUT_WIDTHS[name] for name in inputs)


def point_features(
    inputs: Sequence[str],
    relevancy: Tensor | None,
    rgb: Tensor | None,
    cutoff: float,
    rivals: Tensor | None = None,
) -> Tensor:
    """What a network reads per point, from what is known of the points.

    Args:
        inputs: out of :data:`INPUT_WIDTHS`, in its order.
        relevancy: (..., N) as the network's normalization wants it; None for networks that read
            none.
        rgb: (N, 3) in 0..1; None for networks that read none.
        cutoff: above which relevancy, before its gain, counts for ``patch_masks``.
        rivals: (..., N) of :func:`~semabs_core.evidence.rivals`, for networks that read it.

    Returns:
        (..., N, F) float32.
    """
    parts = []
    if relevancy is not None and "patch_masks" in inputs:
        parts.append((relevancy > RELEVANCY_GAIN * cutoff).float()[..., None])
    if relevancy is not None and "saliency" in inputs:
        parts.append(relevancy[..., None])
    if rivals is not None and "rivals" in inputs:
        parts.append(rivals[..., None])
    if rgb is not None and "rgb" in inputs:
        leading = relevancy.shape[:-1] if relevancy is not None else ()
        parts.append(rgb.expand(*leading, -1, -1))
    return torch.cat(parts, dim=-1)


@dataclass(frozen=True)
class NetworkConfig:
    """Everything that decides a network's shape. Defaults are the published hyperparameters.

    Attributes:
        task: ``completion`` or ``localization``.
        approach: ``semantic_abstraction``, ``semantic_aware`` or (localization) ``clip_spatial``.
        voxel_shape: cells of the virtual grid per axis.
        bounds: lower and upper corner of the grid, scene units.
        channels: channels C of the volumes.
        f_maps: channels of the U-Net's finest level; with ``fine_maps``, of the level below it.
        groups: groups of its group norms.
        levels: its number of resolutions.
        fine_maps: channels of a finest level with one convolution each way, see
            :class:`semabs_core.unet3d.FineUNet3D`; 0 for the published U-Net.
        hidden: width H of the point encoder.
        pointing_dim: width d of localization features.
        pointing_method: ``cosine_sim``, ``dot_product`` or ``additive``.
        concat_xyz: whether decoders read the normalised query coordinate too.
        text_dim: width D of the vision-language model's text features.
        sampling: ``aligned``, or ``published`` for weights trained by the published code.
        network_inputs: what is read: ``saliency`` (relevancy), or ``patch_masks`` (1 where the
            relevancy is above ``patch_mask_cutoff``), besides perhaps ``rivals`` (evidence of the
            strongest other word), ``rgb`` and ``tsdf`` (the truncated signed distance of the depth,
            a volume). None named: those of the approach.
        normalization: ``gain`` or ``evidence``, the scale of the relevancy that is read.
        refine: whether relevancy is spread along the edges of colour and depth before it is read,
            see :mod:`semabs_core.refinement`; with ``evidence`` alone.
        patch_mask_cutoff: relevancy, less the mean map, that counts as a mask.
        relations: the spatial relations that a localization network knows, in the order of its
            learned vectors.
    """

    task: str = "completion"
    approach: str = "semantic_abstraction"
    voxel_shape: tuple[int, int, int] = (128, 128, 128)
    bounds: tuple[tuple[float, float, float], tuple[float, float, float]] = (
        (-1.0, -1.0, -0.1),
        (1.0, 1.0, 1.9),
    )
    channels: int = 16
    f_maps: int = 16
    groups: int = 8
    levels: int = 6
    fine_maps: int = 0
    hidden: int = 128
    pointing_dim: int = 64
    pointing_method: str = "cosine_sim"
    concat_xyz: bool = True
    text_dim: int = 512
    sampling: str = "aligned"
    network_inputs: tuple[str, ...] = ()
    normalization: str = "gain"
    refine: bool = False
    patch_mask_cutoff: float = 0.004
    relations: tuple[str, ...] = RELATIONS

    def __post_init__(self) -> None:
        object.__setattr__(self, "voxel_shape", tuple(int(n) for n in self.voxel_shape))
        bounds = tuple(tuple(float(v) for v in corner) for corner in self.bounds)
        object.__setattr__(self, "bounds", bounds)
        choices = {
            "task": TASKS,
            "approach": APPROACHES[: 3 if self.task == "localization" else 2],
            "pointing_method": POINTING_METHODS,
            "sampling": SAMPLINGS,
            "normalization": NORMALIZATIONS,
        }
        for name, allowed in choices.items():
            value = getattr(self, name)
            if value not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
        object.__setattr__(
            self, "network_inputs", choose_inputs(self.approach, tuple(self.network_inputs))
        )
        if self.normalization == "gain" and ("rivals" in self.network_inputs or self.refine):
            raise ValueError("rivals and refine need the normalization evidence, got gain")
        if self.normalization == "evidence" and "patch_masks" in self.network_inputs:
            raise ValueError("patch_masks need the normalization gain, got evidence")
        object.__setattr__(self, "relations", tuple(self.relations))
        if (
            not self.relations
            or len(set(self.relation_tokens)) <= len(self.relations)
            or not all(isinstance(name, str) and name.strip() for name in self.relations)
        ):
            raise ValueError(
                f"relations must be different names other than {PAD_RELATION}, got {self.relations}"
            )
        for name in ("f_maps", "channels", *(("fine_maps",) if self.fine_maps else ())):
            width = getattr(self, name)
            if width < 1 or (width > self.groups and width % self.groups):
                raise ValueError(
                    f"{name} must be positive and, above groups = {self.groups}, a multiple of it; "
                    f"got {width}"
                )
        step = 2 ** (self.levels - 1)
        if len(self.voxel_shape) != 3 or any(n < step or n % step for n in self.voxel_shape):
            raise ValueError(
                f"voxel_shape must be three multiples of {step} for {self.levels} levels, "
                f"got {self.voxel_shape}"
            )
        if [len(corner) for corner in self.bounds] != [3, 3]:
            raise ValueError(f"bounds must be two corners of three numbers, got {self.bounds}")
        if any(low >= high for low, high in zip(*self.bounds, strict=True)):
            raise ValueError(f"the lower bounds must be below the upper ones, got {self.bounds}")

    @property
    def reads_relevancy(self) -> bool:
        """Whether the network reads relevancy: a volume per label, not one per scene."""
        return self.approach != "semantic_aware"

    @property
    def relation_tokens(self) -> tuple[str, ...]:
        """The relations in the order of the learned vectors; that of padding is the last."""
        return (*self.relations, PAD_RELATION)

    @property
    def reads_tsdf(self) -> bool:
        """Whether the network reads a truncated signed distance."""
        return "tsdf" in self.network_inputs

    @property
    def point_width(self) -> int:
        """Width F of the features that are read per point."""
        return point_width(self.network_inputs)

    def to_dict(self) -> dict:
        """Plain values for JSON."""
        return dataclasses.asdict(self)
