"""Shipped weights, downloads that break off, archives that are not what they should be."""

import functools
import http.server
import io
import shutil
import tarfile
import threading
from dataclasses import replace

import lz4.frame
import pytest
import safetensors.torch
import torch
from support import ENCODER, NETWORK_FIXTURES
from typer.testing import CliRunner

from semabs_core.checkpoint import CheckpointError, load_network, save_network
from semabs_core.cli import app
from semabs_core.config import parse_config
from semabs_core.encoder import MODEL_CONFIG, MODEL_WEIGHTS, EncoderError, load_encoder
from semabs_core.models import known_relations, load_task_network
from semabs_core.network_config import NetworkConfig
from semabs_core.networks import build_network
from semabs_core.pipeline import SceneUnderstanding
from semabs_core.weights.average import average_networks
from semabs_core.weights.check import check_weights, convert_weights, pack_weights
from semabs_core.weights.download import download, unpack
from semabs_core.weights.fingerprint import fingerprint, same_encoder
from semabs_core.weights.published import published_checkpoints, resolve_checkpoint
from semabs_core.weights.shipped import (
    WeightsError,
    sha256_of,
    shipped_names,
    shipped_path,
    verify,
    write_manifest,
)

PUBLISHED = sorted(path for path in NETWORK_FIXTURES.iterdir() if (path / "args.pkl").exists())[0]
CONTENT = bytes(range(256)) * 4096


class Host(http.server.BaseHTTPRequestHandler):
    """Serves one file, with ranges; breaks off after `limit` bytes where it is told to."""

    limit = None
    ranges = True
    asked: list[str] = []

    def do_GET(self):
        if self.path != "/models.tar.lz4":
            self.send_error(404)
            return
        wanted = self.headers.get("Range", "bytes=0-")
        type(self).asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if self.ranges else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start : self.limit])

    def log_message(self, *args):
        pass


@pytest.fixture
def host():
    handler = type("OneHost", (Host,), {"asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=functools.partial(server.serve_forever, poll_interval=0.02))
    thread.start()
    handler.url = f"http://127.0.0.1:{server.server_port}/models.tar.lz4"
    yield handler
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_that_broke_off_is_carried_on_with(host, tmp_path, ranges):
    target, part = tmp_path / "a" / "models.tar.lz4", tmp_path / "a" / "models.tar.lz4.part"
    host.limit, host.ranges = 300_000, ranges
    with pytest.raises(WeightsError, match=r"call again to carry on"):
        download(host.url, target)
    assert not target.exists()
    came = part.stat().st_size
    assert 0 < came <= 300_000
    host.limit = None
    seen = []
    download(host.url, target, sha256_of_content(tmp_path), lambda *state: seen.append(state))
    assert target.read_bytes() == CONTENT
    assert not part.exists()
    assert host.asked == ["bytes=0-", f"bytes={came}-"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert download("http://nowhere.invalid/x", target) == target, "what is there is kept"
    with pytest.raises(WeightsError, match="is there, but damaged .* delete it"):
        download("http://nowhere.invalid/x", target, "0" * 64)


def sha256_of_content(folder):
    file = folder / "content"
    file.write_bytes(CONTENT)
    return sha256_of(file)


def test_a_part_that_is_whole_already(host, tmp_path):
    (tmp_path / "x.part").write_bytes(CONTENT)
    assert download(host.url, tmp_path / "x").read_bytes() == CONTENT


def test_failures_say_what_to_do(host, tmp_path):
    target = tmp_path / "models.tar.lz4"
    with pytest.raises(WeightsError, match=r"came damaged .* call again"):
        download(host.url, target, "0" * 64)
    assert not list(tmp_path.iterdir())
    with pytest.raises(WeightsError, match=r"not to be had \(404"):
        download(host.url.replace("models", "others"), target)
    with pytest.raises(WeightsError, match=r"no network, or the host is gone .* other means"):
        download("http://nowhere.invalid/models.tar.lz4", target)


def archive_of(path, members):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    path.write_bytes(lz4.frame.compress(content.getvalue()))
    return path


def test_only_checkpoints_are_unpacked_and_nothing_outside_the_folder(tmp_path):
    members = {f"models/ours/vool/{f.name}": f.read_bytes() for f in PUBLISHED.iterdir()}
    members |= {"../vool.pth": b"x", f"{tmp_path}/evil/vool.pth": b"x", "models/readme.txt": b"x"}
    folder = tmp_path / "published"
    (found,) = unpack(archive_of(tmp_path / "models.tar.lz4", members), folder)
    assert found == folder / "models/ours/vool"
    load_network(found)
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
    assert not any("readme" in name or name == "vool.pth" or "evil" in name for name in names)


def test_downloaded_checkpoints_are_named_in_configs(tmp_path, monkeypatch):
    monkeypatch.setenv("SEMABS_HOME", str(tmp_path))
    config = parse_config({"localization": {"checkpoint": "published:ours/vool"}})
    with pytest.raises(WeightsError, match=r"published:ours/vool is not here: `semabs weights dow"):
        known_relations(config)
    source = NETWORK_FIXTURES / "vool_semabs"
    members = {f"models/ours/vool/{f.name}": f.read_bytes() for f in source.iterdir()}
    archive = archive_of(tmp_path / "models.tar.lz4", members)
    assert archive == tmp_path / "models.tar.lz4", "where the download would be"
    assert "published:ours/vool" in CliRunner().invoke(app, ["weights", "download"]).output
    assert list(published_checkpoints()) == ["published:ours/vool"]
    network = load_task_network("published:ours/vool", "localization", config, None)
    assert network.config == load_network(source).config
    assert known_relations(config) == network.config.relations
    with pytest.raises(WeightsError, match="no checkpoint 'published:a', but published:ours/vool"):
        resolve_checkpoint("published:a")


def test_damaged_archives_are_refused_and_leave_what_was_there(tmp_path):
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "kept").write_text("")
    damaged = tmp_path / "models.tar.lz4"
    damaged.write_bytes(archive_of(damaged, {"a/vool.pth": bytes(100_000)}).read_bytes()[:200])
    with pytest.raises(WeightsError, match=r"is damaged .* delete it and download it again"):
        unpack(damaged, folder)
    with pytest.raises(WeightsError, match="holds no checkpoint"):
        unpack(archive_of(tmp_path / "other.tar.lz4", {"a/b.txt": b""}), folder)
    assert (folder / "kept").exists()
    assert not (tmp_path / "published.part").exists()


def test_a_manifest_finds_changed_and_missing_files(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "network.json").write_text(name)
    write_manifest({"one": "the first", "two": "the second"}, tmp_path)
    assert {n: e["about"] for n, e in shipped_names(tmp_path).items()} == {
        "one": "the first",
        "two": "the second",
    }
    assert shipped_path("two", tmp_path) == tmp_path / "two"
    assert verify("one", tmp_path) == []
    (tmp_path / "one" / "network.json").write_text("changed")
    (tmp_path / "two" / "network.json").unlink()
    assert "is not as it was shipped" in verify("one", tmp_path)[0]
    assert "is missing" in verify("two", tmp_path)[0]
    with pytest.raises(WeightsError, match="no weights 'three' come with the package, but one"):
        shipped_path("three", tmp_path)
    with pytest.raises(WeightsError, match="install the package again"):
        shipped_names(tmp_path / "one")


def test_shipped_weights_are_whole():
    names = shipped_names()
    assert check_weights([]) == {f"shipped:{name}": "" for name in names}


def test_weights_of_others_are_checked_too(tmp_path):
    results = check_weights([str(PUBLISHED), "nothing", str(tmp_path)])
    assert results[str(PUBLISHED)] == ""
    assert "no weights 'nothing' come with the package" in results["nothing"]
    assert "is no checkpoint" in results[str(tmp_path)]


def test_networks_and_encoders_are_converted(tmp_path):
    assert convert_weights(PUBLISHED, tmp_path / "net", torch.float16).startswith(
        load_network(PUBLISHED).config.task
    )
    assert load_network(tmp_path / "net").config == load_network(PUBLISHED).config
    source = ENCODER.removeprefix("local-dir:")
    assert convert_weights(source, tmp_path / "encoder", torch.float16) == "encoder"
    words = ["mug", "lamp"]
    half = load_encoder(f"local-dir:{tmp_path / 'encoder'}").encode_text(words)
    torch.testing.assert_close(half, load_encoder(ENCODER).encode_text(words), atol=5e-3, rtol=1e-2)
    convert_weights(source, tmp_path / "full", torch.float32)
    names = ("encoder", "full")
    sizes = [sum(f.stat().st_size for f in (tmp_path / n).iterdir()) for n in names]
    assert sizes[0] < 0.6 * sizes[1]


def test_a_packed_network_says_which_preset_it_is_asked_with(tmp_path):
    shape = NetworkConfig(voxel_shape=(8, 8, 8), channels=4, f_maps=4, levels=2, hidden=16)
    for kind in ("gain", "evidence"):
        network = build_network(replace(shape, normalization=kind))
        save_network(network, tmp_path / kind, {"preset": "ours", "augmentations": 3, "cutoff": 2})
    shipped = tmp_path / "shipped"
    pack_weights(tmp_path / "evidence", "any", "of any relevancy", shipped, "sparse")
    packed = load_network(shipped / "any")
    assert packed.metadata == {"preset": "sparse", "augmentations": 0, "cutoff": 2}
    own = load_network(tmp_path / "evidence")
    assert fingerprint(packed.state_dict()) == fingerprint(own.state_dict())
    assert verify("any", shipped) == []
    for source, preset, message in (
        (tmp_path / "evidence", "best", "preset must be one of ours, "),
        (tmp_path / "gain", "sparse", "wants the preset that it was trained with"),
        (ENCODER.removeprefix("local-dir:"), "sparse", "is an encoder, which has no preset"),
    ):
        with pytest.raises(WeightsError, match=message):
            pack_weights(source, "other", "refused", shipped, preset)
    assert not (shipped / "other").exists()


def test_the_mean_of_networks_lies_between_them_and_is_not_calibrated(tmp_path):
    first, second = shipped_path("completion"), tmp_path / "second"
    shutil.copytree(first, second)
    weights = safetensors.torch.load_file(second / "network.safetensors")
    safetensors.torch.save_file(
        {name: value.float() + 0.5 for name, value in weights.items()},
        second / "network.safetensors",
    )
    line = ["weights", "average", "shipped:completion", str(second), str(tmp_path / "mean")]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0, done.output
    one, mean = load_network(first), load_network(tmp_path / "mean")
    for name, value in mean.state_dict().items():
        torch.testing.assert_close(value, one.state_dict()[name] + 0.25)
    assert "cutoff" in one.metadata
    assert "cutoff" not in mean.metadata
    assert mean.metadata["preset"] == one.metadata["preset"]
    with pytest.raises(
        CheckpointError, match=r"shipped:completion and shipped:completion_any .*op"
    ):
        average_networks(["shipped:completion", "shipped:completion_any"], tmp_path / "none")
    with pytest.raises(CheckpointError, match="two networks"):
        average_networks(["shipped:completion"], tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_networks_that_read_no_text_have_a_mean_whatever_its_width_was(tmp_path):
    """One that was trained on masks alone knows of no encoder."""
    network = load_network(shipped_path("completion"))
    network.config = replace(network.config, text_dim=512)
    save_network(network, tmp_path / "masks", network.metadata)
    average_networks([str(tmp_path / "masks"), "shipped:completion"], tmp_path / "mean")
    assert load_network(tmp_path / "mean").config.text_dim == 64


def moved(name, folder):
    """Copy shipped weights somewhere else."""
    shutil.copytree(shipped_path(name), folder)
    return f"local-dir:{folder}"


def test_a_fingerprint_is_of_the_weights_and_not_of_their_precision(tmp_path):
    stored = load_encoder("shipped:encoder")
    in_bf16 = load_encoder(moved("encoder", tmp_path / "copy"), dtype=torch.bfloat16)
    assert in_bf16.fingerprint == stored.fingerprint
    weights = {"a": torch.tensor([[1.0, 0.1]]), "b": torch.arange(3)}
    half = {name: weights[name].half() if name == "a" else weights[name] for name in ("b", "a")}
    assert fingerprint(half) == fingerprint(weights)


@pytest.mark.parametrize(
    "changed",
    [
        {"a": torch.tensor([[1.0, 0.1002]])},
        {"a": torch.tensor([[1.0], [0.1]])},
        {"a": torch.tensor([[1.0, 0.1]]), "b": torch.zeros(0)},
        {"b": torch.tensor([[1.0, 0.1]])},
    ],
)
def test_other_values_shapes_and_names_have_another_fingerprint(changed):
    assert fingerprint(changed) != fingerprint({"a": torch.tensor([[1.0, 0.1]])})


def test_an_encoder_is_told_by_its_weights_and_by_its_name_where_nothing_else_is_known():
    new = {"encoder": "shipped:encoder", "fingerprint": "12"}
    assert same_encoder(new, "local-dir:/copy", "12")
    assert not same_encoder(new, "shipped:encoder", "34"), "trained again in its folder"
    assert same_encoder({"encoder": "ViT-B-32"}, "ViT-B-32", "12")
    assert not same_encoder({"encoder": "ViT-B-32"}, "ViT-L-14", "12")
    assert same_encoder({}, "ViT-L-14", "12")


def test_a_copy_of_the_shipped_encoder_is_not_foreign_and_a_trained_one_is(tmp_path):
    tasks = ("completion", "localization")
    config = {task: {"checkpoint": f"shipped:{task}"} for task in tasks}
    config["encoder"] = {"model": moved("encoder", tmp_path / "copy")}
    scene = SceneUnderstanding.from_config(parse_config(config), device="cpu")
    assert scene.foreign == []
    file = tmp_path / "copy" / MODEL_WEIGHTS
    weights = safetensors.torch.load_file(file)
    weights["logit_scale"] += 0.1
    safetensors.torch.save_file(weights, file)
    scene = SceneUnderstanding.from_config(parse_config(config), device="cpu")
    assert scene.foreign == [
        "completion (trained with shipped:encoder)", "localization (trained with shipped:encoder)"
    ]  # fmt: skip
    config["completion"]["checkpoint"] = "shipped:completion_any"
    scene = SceneUnderstanding.from_config(parse_config(config), device="cpu")
    assert scene.foreign == ["localization (trained with shipped:encoder)"], "any encoder will do"


def test_a_folder_without_weights_is_not_filled_at_random(tmp_path):
    shutil.copyfile(shipped_path("encoder") / MODEL_CONFIG, tmp_path / MODEL_CONFIG)
    with pytest.raises(
        EncoderError, match=r"no weights \(\*\.safetensors, .* copy the whole folder"
    ):
        load_encoder(f"local-dir:{tmp_path}")
    (fault,) = check_weights([str(tmp_path)]).values()
    assert "there are no weights" in fault
