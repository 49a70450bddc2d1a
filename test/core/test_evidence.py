"""Relevancy without a scale: what it is worth does not depend on what made it."""

import numpy as np
import pytest
import torch

from semabs_core.evidence import Weigher, centred, evidence, make_context, rivals


def maps(rng, words=6, shape=(12, 16)):
    return {f"word {i}": rng.random(shape).astype(np.float32) for i in range(words)}


def weigh(found, words=None):
    mean = np.mean(list(found.values()), axis=0)
    weigher = Weigher(found, mean)
    return weigher({word: found[word] for word in words or found})


@pytest.mark.parametrize("factor", [1e-4, 0.2, 50.0])
def test_the_encoders_scale_does_not_matter(factor):
    found = maps(np.random.default_rng(0))
    scaled = {word: np.float32(factor) * kept for word, kept in found.items()}
    torch.testing.assert_close(weigh(scaled), weigh(found), rtol=1e-4, atol=1e-5)


def test_a_word_four_times_weaker_has_half_the_evidence():
    found = torch.rand(5, 8, generator=torch.Generator().manual_seed(0))
    strong, weak = evidence(found, 0.7), evidence(found / 4, 0.7)
    torch.testing.assert_close(weak, strong / 2)
    assert float(evidence(found / found.max() * 0.7, 0.7).max()) == pytest.approx(1.0)


def test_what_is_below_the_mean_is_nothing():
    found = centred(np.array([[0.1, 0.4]], np.float32), np.array([[0.2, 0.1]], np.float32))
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.3]]))


def test_rivals_are_the_strongest_of_the_others():
    """Three words over two pixels: a (1, 0), b (0.25, 1), c (0, 0.5); the usual maximum is 1."""
    found = {
        "a": torch.tensor([[1.0, 0.0]]),
        "b": torch.tensor([[0.25, 1.0]]),
        "c": torch.tensor([[0.0, 1.0]]),
    }
    context = make_context(found)
    assert context.usual == 1.0
    torch.testing.assert_close(rivals("a", context), torch.tensor([[0.25, 1.0]]))
    torch.testing.assert_close(rivals("b", context), torch.tensor([[1.0, 1.0]]))
    torch.testing.assert_close(rivals("c", context), torch.tensor([[1.0, 1.0]]))
    torch.testing.assert_close(rivals("a stranger", context), torch.tensor([[1.0, 1.0]]))


def test_the_order_of_the_words_does_not_matter():
    found = maps(np.random.default_rng(1))
    backwards = dict(reversed(found.items()))
    words = list(found)
    torch.testing.assert_close(weigh(found, words), weigh(backwards, words))


def test_a_word_is_weighed_alone():
    """What else is asked changes nothing, as long as the context is the same."""
    found = maps(np.random.default_rng(2))
    together = weigh(found, ["word 1", "word 4"])
    torch.testing.assert_close(weigh(found, ["word 4"])[0], together[1])


def test_nothing_speaks_for_anything():
    empty = {word: np.zeros((4, 5), np.float32) for word in "ab"}
    weighed = weigh(empty)
    assert weighed.shape == (2, 2, 4, 5)
    assert not weighed.any()


def test_a_context_of_one_word_has_no_rivals():
    found = {"a": torch.rand(3, 4)}
    assert not rivals("a", make_context(found)).any()
    torch.testing.assert_close(
        rivals("b", make_context(found)), evidence(found["a"], float(found["a"].max()))
    )


def test_words_of_the_context_are_refined_once():
    found, refined = maps(np.random.default_rng(3)), []

    def refine(some):
        some = list(some)
        refined.append(len(some))
        return 2 * torch.stack(some)

    def weigher():
        return Weigher({word: found[word] for word in list(found)[:4]}, mean, refine)

    mean = np.mean(list(found.values()), axis=0)
    one = weigher()
    together = one({word: found[word] for word in ("word 5", "word 1")})
    assert refined == [4, 1]
    torch.testing.assert_close(one({"word 1": found["word 1"]})[0], together[1])
    assert refined == [4, 1]
    own = 2 * centred(found["word 1"], mean)
    torch.testing.assert_close(together[1, 0], evidence(own, one.context.usual))


def test_masks_are_not_refined():
    mask = np.zeros((6, 8), np.float32)
    mask[2:4, 1:5] = 1
    masks = {"a": mask, "b": 1 - mask, "nowhere": np.zeros_like(mask)}

    def refine(_):
        raise AssertionError("refined")

    weighed = Weigher(masks, np.zeros_like(mask), refine)(masks)
    torch.testing.assert_close(weighed[0, 0], torch.from_numpy(mask))
    with pytest.raises(AssertionError, match="refined"):
        Weigher({**masks, "b": mask / 2 + np.eye(6, 8, dtype=np.float32)}, mask, refine)
