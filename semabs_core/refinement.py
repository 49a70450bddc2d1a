"""Relevancy maps along the edges of colour and depth: class-agnostic, without training.

Pixel-adaptive refinement (Araslanov and Roth, "Single-stage semantic segmentation from image
labels", CVPR 2020, section 3.3): a pixel's value becomes the mean of its neighbours', weighted by
how much they look alike; repeated, so that values spread over a surface and stop at its edges.
Depth counts as a further channel here.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

EDGE = 128
"""Longer edge at which maps are refined, pixels: about two centimetres at two metres."""
DILATIONS = (1, 2, 4)
ROUNDS = 10
COLOR_SHARPNESS = 0.3
"""Colour differences count relative to this share of the local standard deviation."""
DEPTH_STEP = 0.02
"""Relative difference of depth at which two pixels' affinity has fallen to exp(-1)."""
NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))


class Refiner:
    """Spreads maps of one frame along its surfaces.

    Args:
        rgb: (H, W, 3) uint8.
        depth_m: (H, W) float32, metres; not finite or <= 0 is no reading, which never parts pixels.
        edge: longer edge at which maps are refined, pixels.
        rounds: how often values are averaged.
    """

    def __init__(
        self,
        rgb: NDArray[np.uint8],
        depth_m: NDArray[np.float32],
        edge: int = EDGE,
        rounds: int = ROUNDS,
    ) -> None:
        height, width = rgb.shape[:2]
        scale = min(1.0, edge / max(height, width))
        self.shape = (max(1, round(height * scale)), max(1, round(width * scale)))
        self.rounds = rounds
        color = torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)[None].float() / 255
        color = F.interpolate(color, self.shape, mode="bilinear", antialias=True)
        rows = ((np.arange(self.shape[0]) + 0.5) * height / self.shape[0]).astype(int)
        columns = ((np.arange(self.shape[1]) + 0.5) * width / self.shape[1]).astype(int)
        depth = torch.from_numpy(np.ascontiguousarray(depth_m[np.ix_(rows, columns)]))[None, None]
        self.weights = _affinities(color, depth)

    def __call__(self, maps: Tensor) -> Tensor:
        """Maps (L, h, w) float32 of any size to refined ones (L, *shape)."""
        if maps.shape[1:] != self.shape:
            maps = F.interpolate(
                maps[:, None], self.shape, mode="bilinear", antialias=True, align_corners=False
            )[:, 0]
        for _ in range(self.rounds):
            total = torch.zeros_like(maps)
            for weight, shifted in zip(self.weights, _shifts(maps[:, None]), strict=True):
                total.addcmul_(weight, shifted[:, 0])
            maps = total
        return maps


def _shifts(images: Tensor) -> list[Tensor]:
    """Views of images (B, C, h, w), each moved to one of a pixel's neighbours."""
    height, width = images.shape[2:]
    views = []
    for step in DILATIONS:
        padded = F.pad(images, (step, step, step, step), mode="replicate")
        for row, column in NEIGHBOURS:
            top, left = step * (1 + row), step * (1 + column)
            views.append(padded[:, :, top : top + height, left : left + width])
    return views


def _affinities(color: Tensor, depth: Tensor) -> Tensor:
    """Weights (K, h, w) of a pixel's K neighbours, which sum to 1."""
    stack = torch.stack([view[0] for view in _shifts(color)])
    spread = stack.std(dim=0, keepdim=True).clamp_min(0.01)
    unlike = (((stack - color) / (COLOR_SHARPNESS * spread)) ** 2).mean(dim=1)
    known = torch.isfinite(depth) & (depth > 0)
    depth = torch.where(known, depth, 0.0)
    near = torch.stack([view[0, 0] for view in _shifts(depth)])
    there = torch.stack([view[0, 0] for view in _shifts(known.float())]) > 0
    step = (near - depth[0, 0]).abs() / (DEPTH_STEP * depth[0, 0].clamp_min(0.1))
    unlike = unlike + torch.where(there & known[0, 0], step, 0.0)
    return torch.softmax(-unlike, dim=0)
