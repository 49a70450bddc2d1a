"""Shared fixtures: small models, scenes, and where the real ones are."""

import json
import os
import signal

# Before torch is imported, and for the processes that tests start: tiny pictures and networks gain
# nothing from threads, and on a busy machine these wait for each other many times as long as they
# work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
from support import ENCODER, NETWORK_FIXTURES, SHARED

# A shell's background jobs, and what they start, ignore SIGINT, which tests send.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(scope="session")
def encoder():
    from semabs_core.encoder import load_encoder

    return load_encoder(ENCODER)


@pytest.fixture(scope="session")
def pooled_config():
    """What open_clip makes a small model of, with a pooling layer as SigLIP's and PE-Core's."""
    vision = {"timm_model_name": "test_vit3", "timm_pool": "map", "timm_proj": "none"}
    text = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
    return {
        "embed_dim": 96,
        "init_logit_bias": -10.0,
        "vision_cfg": {**vision, "image_size": 160},
        "text_cfg": text,
    }


@pytest.fixture(scope="session")
def pooled_encoder(pooled_config, tmp_path_factory):
    """A folder of such a model with random weights, as `local-dir:`."""
    import open_clip

    from semabs_core.encoder import save_encoder

    torch.manual_seed(0)
    model = open_clip.CustomTextCLIP(**pooled_config)
    folder = tmp_path_factory.mktemp("pooled")
    half = (0.5, 0.5, 0.5)
    config = {**pooled_config, "custom_text": True}
    save_encoder(model, config, folder, preprocess={"mean": half, "std": half})
    return f"local-dir:{folder}"


@pytest.fixture(scope="session")
def room():
    from semabs_core.data.analytic import analytic_scene

    return analytic_scene(160, 120)


@pytest.fixture
def network_fixture():
    """The inputs, expected output and names of a published network."""

    def load(name):
        folder = NETWORK_FIXTURES / name
        with np.load(folder / "io.npz") as archive:
            arrays = {key: torch.from_numpy(archive[key]) for key in archive.files}
        return folder, arrays, json.loads((folder / "names.json").read_text())

    return load


@pytest.fixture(scope="session")
def real_scene():
    path = SHARED / "scenes" / "arkit_vn_poster.npz"
    if not path.exists():
        pytest.skip(f"the real scene is not at {path} (set SEMABS_SHARED)")
    return path
