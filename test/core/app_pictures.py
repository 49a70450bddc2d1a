"""Pictures for the page: of the analytic room, with depth and intrinsics."""

import numpy as np
from PIL import Image

K_TEXT = "100, 100, 79.5, 59.5"


def paths(folder, *names):
    return [str(folder / name) if name else None for name in names]


def write_pictures(folder, room):
    """A colour picture and its depth in millimetres."""
    frame = room.frame(0)
    Image.fromarray(frame.rgb).save(folder / "color.png")
    depth = np.nan_to_num(frame.depth_m * 1000).astype(np.uint16)
    Image.fromarray(depth).save(folder / "depth.png")
    np.save(folder / "depth.npy", frame.depth_m)
    (folder / "text.png").write_text("no picture")
    return folder
