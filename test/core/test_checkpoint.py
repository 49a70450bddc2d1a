"""Reading and writing weights, and refusing what is damaged or hostile."""

import argparse
import json
import os
import pickle
import shutil

import pytest
import torch
from support import NETWORK_FIXTURES
from test_networks import NAMES, TINY, run_published

from semabs_core.checkpoint import CheckpointError, load_network, save_network
from semabs_core.network_config import NetworkConfig
from semabs_core.networks import build_network


class Hostile:
    """Unpickling this would make a folder."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


@pytest.fixture
def published(tmp_path):
    folder = tmp_path / "published"
    shutil.copytree(NETWORK_FIXTURES / "ovssc_semabs", folder)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_conversion_keeps_the_answer_and_drops_what_is_unused(network_fixture, tmp_path, name):
    folder, arrays, names = network_fixture(name)
    network = load_network(folder)
    save_network(network, tmp_path / "ours", {"mean_vocabulary": ["wall"]})
    again = load_network(tmp_path / "ours")
    assert again.metadata == {"mean_vocabulary": ["wall"]}
    assert again.config == network.config
    result = run_published(again, name, arrays, names)
    assert (result - arrays["expected"]).abs().max() < 1e-4
    assert not list((tmp_path / "ours").glob("*.part"))


def test_half_precision_weights_are_read_as_float32(tmp_path):
    save_network(build_network(NetworkConfig(**TINY)), tmp_path, dtype=torch.float16)
    network = load_network(tmp_path)
    assert next(network.parameters()).dtype == torch.float32


def test_hostile_options_do_not_run(published, tmp_path):
    options = argparse.Namespace(approach=Hostile(tmp_path / "owned"))
    (published / "args.pkl").write_bytes(pickle.dumps(options))
    with pytest.raises(CheckpointError, match=r"posix.mkdir.*could run code"):
        load_network(published)
    assert not (tmp_path / "owned").exists()


def test_hostile_weights_do_not_run(published, tmp_path):
    torch.save({"net": Hostile(tmp_path / "owned")}, published / "ovssc.pth")
    with pytest.raises(CheckpointError, match=r"ovssc.pth was not loaded.*could run code"):
        load_network(published)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("kept", [0, 100, 200_000, 562_000])
def test_truncated_weights_are_named(published, kept):
    weights = published / "ovssc.pth"
    weights.write_bytes(weights.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=r"ovssc.pth"):
        load_network(published)


@pytest.mark.parametrize("kept", [0, 20, 1000])
def test_truncated_options_are_named(published, kept):
    options = published / "args.pkl"
    options.write_bytes(options.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=r"args.pkl is damaged"):
        load_network(published)


def test_options_of_another_kind_are_named(published):
    (published / "args.pkl").write_bytes(pickle.dumps({"approach": "semantic_abstraction"}))
    with pytest.raises(CheckpointError, match=r"args.pkl must hold an argparse.Namespace, got a d"):
        load_network(published)


def test_truncated_own_weights_are_named(tmp_path):
    save_network(build_network(NetworkConfig(**TINY)), tmp_path)
    weights = tmp_path / "network.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"network.safetensors is damaged"):
        load_network(tmp_path)
    weights.unlink()
    with pytest.raises(CheckpointError, match="network.safetensors is missing"):
        load_network(tmp_path)


def test_weights_that_do_not_fit_are_refused(published, tmp_path):
    content = torch.load(published / "ovssc.pth", weights_only=True)
    del content["net"]["module.visual_sampler.mlp.2.bias"]
    torch.save(content, published / "ovssc.pth")
    with pytest.raises(CheckpointError, match=r'(?s)Missing key.*"decoder.mlp.2.bias"'):
        load_network(published)
    content["net"]["module.visual_sampler.mlp.2.bias"] = torch.zeros(1)
    content["net"]["module.extra"] = torch.zeros(1)
    torch.save(content, published / "ovssc.pth")
    with pytest.raises(CheckpointError, match=r'(?s)Unexpected key.*"extra"'):
        load_network(published)


def test_own_config_with_an_unknown_option_is_refused(tmp_path):
    save_network(build_network(NetworkConfig(**TINY)), tmp_path)
    config = json.loads((tmp_path / "network.json").read_text())
    config["network"]["colour"] = 1
    (tmp_path / "network.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"network.json is not a network's config.*colour"):
        load_network(tmp_path)


def test_missing_and_foreign_folders_are_named(tmp_path):
    with pytest.raises(CheckpointError, match="there is no checkpoint folder"):
        load_network(tmp_path / "nothing")
    with pytest.raises(CheckpointError, match=r"neither network.json \(ours\) nor args.pkl"):
        load_network(tmp_path)
    (tmp_path / "args.pkl").write_bytes(pickle.dumps(argparse.Namespace()))
    with pytest.raises(CheckpointError, match=r"must hold one of ovssc.pth, vool.pth, found 0"):
        load_network(tmp_path)


def test_weights_can_be_read_by_others(tmp_path):
    before = os.umask(0o022)
    try:
        save_network(build_network(NetworkConfig(**TINY)), tmp_path)
    finally:
        os.umask(before)
    assert {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {
        "network.json": 0o644,
        "network.safetensors": 0o644,
    }
