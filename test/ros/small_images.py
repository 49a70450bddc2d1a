"""A colour image and depth of a few pixels, some without a reading."""

import numpy as np

RGB = np.random.default_rng(0).integers(0, 255, (6, 8, 3), dtype=np.uint8)
DEPTH = np.array([[0.5, np.nan, 1.2345], [2.0, np.inf, 65.0]], np.float32)
