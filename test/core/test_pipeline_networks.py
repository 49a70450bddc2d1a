"""Networks in the pipeline: published ones, other inputs, and what was noted in training."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pipeline_toy import CLASSES, build, configure
from support import NETWORK_FIXTURES

from semabs_core.checkpoint import save_network
from semabs_core.config import ConfigError
from semabs_core.network_config import NetworkConfig
from semabs_core.networks import build_network
from semabs_core.pipeline import SceneUnderstanding


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("vool_semabs", "localization"),
        ("vool_clipspatial", "localization"),
        ("ovssc_semabs", "completion"),
    ],
)
def test_published_checkpoints_run_through_the_pipeline(room, name, task):
    config = configure(**{task: {"checkpoint": str(NETWORK_FIXTURES / name)}})
    scene = SceneUnderstanding.from_config(config)
    assert scene.untrained == [{"completion": "localization", "localization": "completion"}[task]]
    scene.set_frame(room.frame(0))
    assert scene.complete(CLASSES).labels.shape == (24, 24, 24)
    assert np.isfinite(scene.localize("mug", "on", "table").position_m).all()


def test_networks_and_encoder_must_fit():
    with pytest.raises(ConfigError, match="text features of width 512, but .* gives 32"):
        build(completion={"checkpoint": str(NETWORK_FIXTURES / "ovssc_semaware")})
    with pytest.raises(ConfigError, match="completion.checkpoint .* holds a localization network"):
        build(completion={"checkpoint": str(NETWORK_FIXTURES / "vool_semabs")})


@pytest.mark.parametrize(
    ("approach", "inputs"),
    [
        ("semantic_abstraction", ("patch_masks", "rgb", "tsdf")),
        ("semantic_abstraction", ("saliency", "tsdf")),
        ("semantic_aware", ("rgb", "tsdf")),
    ],
)
def test_networks_with_other_inputs(room, tmp_path, approach, inputs):
    torch.manual_seed(0)
    size = {"voxel_shape": (16, 16, 16), "levels": 2, "channels": 8, "f_maps": 8, "hidden": 8}
    for task in ("completion", "localization"):
        config = NetworkConfig(
            task, approach, network_inputs=inputs, text_dim=32, pointing_dim=8, **size
        )
        save_network(build_network(config), tmp_path / task)
    scene = build(
        completion={"checkpoint": str(tmp_path / "completion")},
        localization={"checkpoint": str(tmp_path / "localization")},
    )
    assert scene.completion.config.network_inputs == inputs
    scene.set_frame(room.frame(0))
    first = scene.complete(CLASSES)
    found = scene.localize("ball", "behind", "table")
    assert np.isfinite([first.scores.sum(), found.score]).all()
    nearer = replace(room.frame(0), depth_m=room.frame(0).depth_m * np.float32(0.99))
    scene._state.frame = nearer
    scene._state.volumes.clear()
    scene._state.tsdfs.clear()
    changed = scene.complete(CLASSES)
    assert not np.array_equal(first.scores, changed.scores), "the distance field is not read"


def test_what_a_config_leaves_open_is_as_the_networks_were_trained(room, tmp_path):
    size = {"voxel_shape": (16, 16, 16), "levels": 2, "channels": 8, "f_maps": 8, "hidden": 8}
    trained = {
        "preset": "chefer_et_al",
        "prompts": ["a render of a {}."],
        "augmentations": 0,
        "mean_vocabulary": ["wall", "door"],
        "cutoff": -1.5,
    }
    checkpoints = {}
    for task in ("completion", "localization"):
        save_network(build_network(NetworkConfig(task, **size)), tmp_path / task, trained)
        checkpoints[task] = {"checkpoint": str(tmp_path / task)}
    scene = build(relevancy={"preset": None}, **checkpoints)
    assert vars(scene.chosen) == {k: v for k, v in trained.items() if k != "cutoff"}
    assert scene.judgement.cutoff == -1.5
    wanted = {"preset": "fast", "prompts": ["{}"], "mean_vocabulary": ["sofa"]}
    checkpoints["completion"]["cutoff"] = -2.0
    scene = build(relevancy=wanted, **checkpoints)
    assert vars(scene.chosen) == wanted | {"augmentations": None}
    assert scene.judgement.cutoff == -2.0
    network = build_network(NetworkConfig("localization", **size))
    save_network(network, tmp_path / "localization", trained | {"prompts": ["{}"]})
    with pytest.raises(ConfigError, match=r"different prompts: .*; set relevancy\.prompts to one"):
        build(relevancy={"preset": None}, **checkpoints)
    save_network(network, tmp_path / "localization", {})
    assert build(relevancy={"preset": None}, **checkpoints).chosen.prompts == ["a render of a {}."]
    save_network(network, tmp_path / "localization", trained)
    free = NetworkConfig("completion", normalization="evidence", **size)
    save_network(build_network(free), tmp_path / "completion", {"preset": "fast"})
    scene = build(relevancy={"preset": None}, **checkpoints)
    assert scene.chosen.preset == "chefer_et_al", "evidence can be made of any relevancy"
    assert scene.chosen.augmentations == 0


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("fast@mine", "fast"), "fast"),
        (("fast@mine", "fast@other"), "fast"),
        (("masks", "simulated"), "ours"),
        (("masks", "fast"), "fast"),
        (("fast", "sparse"), "fast"),
        (("sparse", "fast@mine"), "sparse"),
    ],
)
def test_what_relevancy_is_called_in_a_data_set_is_no_preset(room, tmp_path, names, expected):
    """A tag tells encoders apart there, and masks are no encoder's."""
    size = {"voxel_shape": (16, 16, 16), "levels": 2, "channels": 8, "f_maps": 8, "hidden": 8}
    checkpoints = {}
    for task, name in zip(("completion", "localization"), names, strict=True):
        network = build_network(NetworkConfig(task, normalization="evidence", **size))
        save_network(network, tmp_path / task, {"preset": name})
        checkpoints[task] = {"checkpoint": str(tmp_path / task)}
    assert build(relevancy={"preset": None}, **checkpoints).chosen.preset == expected


def test_jittered_copies_are_those_of_the_network_whose_preset_it_is(tmp_path):
    size = {"voxel_shape": (16, 16, 16), "levels": 2, "channels": 8, "f_maps": 8, "hidden": 8}
    checkpoints = {}
    for noted, expected in (
        (({"preset": "fast", "augmentations": 2}, {"preset": "sparse", "augmentations": 1}), 2),
        (({"preset": "masks"}, {"preset": "sparse", "augmentations": 1}), 1),
        (({"augmentations": 3}, {}), 3),
    ):
        for task, metadata in zip(("completion", "localization"), noted, strict=True):
            network = build_network(NetworkConfig(task, normalization="evidence", **size))
            save_network(network, tmp_path / task, metadata)
            checkpoints[task] = {"checkpoint": str(tmp_path / task)}
        assert build(relevancy={"preset": None}, **checkpoints).chosen.augmentations == expected
