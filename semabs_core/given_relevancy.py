"""Relevancy of a frame that comes from elsewhere: another encoder, a segmenter's masks, a file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from semabs_core.config import ConfigError
from semabs_core.data.scene_file import load_scene

Map = NDArray[np.float32]


@dataclass(frozen=True)
class GivenRelevancy:
    """Maps of a frame that no encoder here has made.

    Attributes:
        maps: (H, W) float32 by name, of the picture's size.
        mean: (H, W) float32, what is taken off each of them.
    """

    maps: dict[str, Map]
    mean: Map

    def present(self, names: Sequence[str]) -> bool | None:
        """Whether anything speaks for all of the names that are given; None if none of them is."""
        given = [self.maps[name] for name in names if name in self.maps]
        return all(bool((found > self.mean).any()) for found in given) if given else None


def check_given(
    maps: Mapping[str, NDArray], centred: bool, shape: tuple[int, int]
) -> GivenRelevancy:
    """Maps from elsewhere, checked, and brought to a picture's size.

    Args:
        maps: by name, (h, w) each, numbers or bool, all with the same aspect as the picture; maps
            of another size are enlarged bilinearly or reduced by averaging.
        centred: whether the mean is taken off already. If not, the mean of these maps is.
        shape: (H, W) of the picture.

    Raises:
        ValueError: if there is no map, a name is empty, a map is no (h, w) array of finite numbers,
            its aspect is another, or there is only one map and its mean is to be taken off.
    """
    if not isinstance(maps, Mapping) or not maps:
        raise ValueError("maps must map at least one name to its map (H, W)")
    if not centred and len(maps) == 1:
        raise ValueError(
            "one map alone cannot be measured against a mean of maps, it would be zero: give the "
            "maps of other names too, or pass centred=True"
        )
    found = {name: _sized(_checked(name, given), name, shape) for name, given in maps.items()}
    mean = np.zeros(shape, np.float32) if centred else np.mean(list(found.values()), axis=0)
    return GivenRelevancy(found, mean.astype(np.float32))


def _checked(name: object, given: NDArray) -> Map:
    """A map as float32, if it is one."""
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"maps must go by words, got {name!r}")
    array = np.asarray(given)
    if array.ndim != 2 or array.size == 0 or array.dtype.kind not in "buif":
        raise ValueError(
            f"the map of {name!r} must be (H, W) numbers or bool, got {array.dtype} of shape "
            f"{array.shape}"
        )
    array = array.astype(np.float32)
    if not np.isfinite(array).all():
        raise ValueError(f"the map of {name!r} holds NaN or infinite values")
    return array


def _sized(array: Map, name: str, shape: tuple[int, int]) -> Map:
    """A map of the picture's size; one whose aspect is off by more than a pixel is refused."""
    if array.shape == shape:
        return array
    height, width = array.shape
    if abs(height * shape[1] - width * shape[0]) > max(*shape, height, width):
        raise ValueError(
            f"the map of {name!r} is {height} x {width}, which is not the shape of the frame's "
            f"picture of {shape[0]} x {shape[1]} at another size: it must cover the whole picture"
        )
    maps = torch.from_numpy(np.ascontiguousarray(array))[None, None]
    sized = F.interpolate(maps, shape, mode="bilinear", antialias=True, align_corners=False)
    return sized[0, 0].numpy()


class BroughtRelevancy:
    """The relevancy that a scene file brings, for the frames whose pictures it holds.

    Args:
        path: a scene file, see :func:`semabs_core.data.scene_file.load_scene`.

    Attributes:
        names: what it has maps of.

    Raises:
        SceneError: if the file cannot be used.
        ConfigError: if it brings no relevancy.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self._scene = load_scene(path)
        self.names = list(self._scene.relevancy_labels)
        if self._scene.relevancy is None:
            raise ConfigError(
                f"relevancy.file: {path} holds no relevancy (arrays relevancy and "
                "relevancy_labels); leave the option empty for the encoder's"
            )

    def of(self, rgb: NDArray[np.uint8]) -> GivenRelevancy | None:
        """The relevancy of a picture (H, W, 3); None for a picture that is not the file's."""
        maps = self._scene.relevancy
        assert maps is not None
        for picture, stack in zip(self._scene.rgb, maps, strict=True):
            if np.array_equal(picture, rgb):
                named = dict(zip(self.names, stack, strict=True))
                return check_given(named, self._scene.relevancy_centred, rgb.shape[:2])
        return None
