"""A completion small enough to work out by hand: three voxels of two things, one unknown."""

import numpy as np

from semabs_core.types import Completion


def toy_completion():
    labels = np.zeros((4, 4, 4), np.uint8)
    labels[0, 0, 0] = labels[1, 0, 0] = 1
    labels[3, 3, 3] = 2
    labels[0, 3, 3] = 255
    T = np.eye(4)
    T[:3, 3] = [1, 2, 3]
    return Completion(["mug", "box"], labels, labels.astype(np.float32), 0.5, T, {})
