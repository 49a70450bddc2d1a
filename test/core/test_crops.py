"""Crops of rooms: what covers their patches, and their colours."""

import numpy as np
import pytest
import torch
from encoder_toy import COLORS, write_colored_rooms
from scene_toy import RED_MUG

from semabs_core.data.crops import CropDataset, CropOptions, recolor, tint


@pytest.fixture
def folder(tmp_path):
    return write_colored_rooms(tmp_path)


def test_crops_and_what_covers_them(folder):
    options = CropOptions(image_size=32, batch=12, random_colors=0.5)
    data = CropDataset(folder, "unseen_instances", options, steps=3)
    batch = data[1]
    assert batch.images.shape == (12, 3, 32, 32)
    assert batch.coverage.shape == (12, 16, len(data.phrases.names))
    assert 0 < batch.natural.sum() < 12
    assert torch.equal(batch.images, data[1].images), "an item depends on seed and index alone"
    assert not torch.equal(batch.images, data[2].images)
    total = batch.coverage.sum(dim=2)
    assert (total <= 1).all()
    assert total.mean() > 0.9, "nearly every pixel of the room shows something"
    shown = {data.phrases.names[i] for i in batch.coverage.sum(dim=(0, 1)).nonzero()[:, 0]}
    assert shown == {"wall", "cabinet", "red mug"}
    assert set(data.phrases.names) == {"wall", "cabinet", "red mug", "mug"}, "empty is no thing"
    weight = dict(zip(data.phrases.names, data.weights.tolist(), strict=True))
    assert weight["red mug"] > weight["wall"]


def test_patches_know_what_covers_them(folder):
    options = CropOptions(image_size=32, batch=64, random_colors=0.0)
    data = CropDataset(folder, "unseen_instances", options, steps=1)
    data._places = [np.array([[0, data.phrases.names.index("red mug")]])]
    rng = np.random.default_rng(0)
    image, ids, natural = data._crop(1.0, rng)
    assert natural
    assert image.shape == (24, 24, 3)
    red = (image == COLORS[RED_MUG]).all(axis=-1)
    share = data._coverage(ids[None])[0, :, data.phrases.names.index("red mug")]
    assert float(share.mean()) == pytest.approx(red.mean(), abs=0.02)
    row, column = np.argwhere(red).mean(axis=0) * 4 / 24
    assert int(share.argmax()) in {int(row) * 4 + int(column), int(row) * 4 + int(column) + 1}


def test_tint_keeps_gray_gray_and_stays_in_range():
    rng = np.random.default_rng(0)
    gray = torch.rand(6, 1, 8, 8).expand(-1, 3, -1, -1)
    tinted = tint(gray, rng)
    assert torch.allclose(tinted[:, :1].expand_as(tinted), tinted, atol=1e-5)
    colored = torch.rand(6, 3, 8, 8)
    assert torch.allclose(
        tint(colored, rng, strength=0.0).mean(dim=(2, 3)).sum(dim=1),
        colored.mean(dim=(2, 3)).sum(dim=1),
        atol=0.05,
    )
    assert tint(colored, rng).amin() >= 0
    assert tint(colored, rng).amax() <= 1


def test_things_are_coloured_anew_one_by_one():
    ids = np.repeat(np.array([[-1, 3, 7]], np.int16), 6, axis=1).repeat(4, axis=0)
    image = np.where(ids[..., None] == 3, (200, 60, 40), (120, 120, 120)).astype(np.uint8)
    image[:2] //= 2  # in shadow
    seen = np.stack([recolor(image, ids, np.random.default_rng(seed)) for seed in range(40)])
    assert seen.dtype == np.uint8
    assert seen.shape == (40, *image.shape)
    for name in (-1, 3, 7):
        for half in (slice(0, 2), slice(2, 4)):
            part = seen[:, half][:, ids[half] == name]
            assert (part == part[:, :1]).all(), "what had one colour has one colour"
            assert part[:, 0].std(axis=0).min() > 15, "another one each time"
    assert (seen[:, 3, ids[3] == -1] != seen[:, 3, ids[3] == 7]).any(axis=(1, 2)).mean() > 0.9
    np.testing.assert_array_equal(seen[5], recolor(image, ids, np.random.default_rng(5)))


def test_only_crops_in_random_colours_are_coloured_anew(folder):
    def images(random_colors, recolored):
        options = CropOptions(32, batch=8, random_colors=random_colors, recolored=recolored)
        return CropDataset(folder, "unseen_instances", options, 1)[0].images

    assert torch.equal(images(0.0, 1.0), images(0.0, 0.0))
    assert not torch.equal(images(1.0, 1.0), images(1.0, 0.0))
