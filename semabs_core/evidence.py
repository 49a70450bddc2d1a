"""What speaks for a word in a frame, without the encoder's scale, and what speaks against it.

Relevancy has no unit: from encoder to encoder, preset to preset and word to word it differs by
factors. Here it becomes *evidence*: 0 where a word is no more relevant than words are on average,
about 1 where a word is as relevant as words usually are at their best in this frame. Differences
between words are kept by half: a word whose map is weaker by a factor of four has half the
evidence. (Of the powers between all and nothing, the square root tells best which word a pixel
shows, over words that are in the picture and words that are not.)

*Rival* evidence is that of the strongest other word at each pixel. The words that count are those
of a context: a fixed vocabulary, so that answers can be kept, and for a completion what is asked
together, so that its classes are told from each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

USUAL = 0.75
"""The quantile of the context's maxima that is a frame's usual one."""
NOBODY = -1
TINY = 1e-30


@dataclass(frozen=True)
class Context:
    """The words against which a word is weighed in a frame.

    Attributes:
        words: the W words, in the order of their numbers.
        usual: the maximum that a word's map usually has in this frame, in the maps' own scale.
        first: (h, w) float32, the strongest evidence of the words.
        second: (h, w) float32, the strongest but one.
        owner: (h, w) int64, the number of the word that ``first`` is of.
    """

    words: tuple[str, ...]
    usual: float
    first: Tensor
    second: Tensor
    owner: Tensor


def centred(maps: NDArray[np.float32] | Tensor, mean: NDArray[np.float32] | Tensor) -> Tensor:
    """Maps (..., H, W) less the mean map (H, W), cut off at 0: how much more than words do."""
    return (torch.as_tensor(maps) - torch.as_tensor(mean)).clamp_min_(0)


def make_context(maps: Mapping[str, Tensor]) -> Context:
    """A frame's context.

    Args:
        maps: by word, (h, w) float32 of :func:`centred`; at least one.
    """
    stack = torch.stack(list(maps.values()))
    peaks = stack.flatten(1).amax(dim=1)
    there = peaks[peaks > 0]
    usual = float(torch.quantile(there, USUAL)) if len(there) else 0.0
    strengths = evidence(stack, usual)
    if len(strengths) == 1:
        strengths = torch.cat([strengths, torch.zeros_like(strengths)])
    values, owners = strengths.topk(2, dim=0)
    return Context(tuple(maps), usual, values[0], values[1], owners[0])


def evidence(found: Tensor, usual: float) -> Tensor:
    """Maps (..., h, w) of :func:`centred` as evidence; see :class:`Context` for ``usual``."""
    peak = found.flatten(-2).amax(dim=-1)[..., None, None]
    scale = (peak * usual).sqrt()
    return torch.where(scale > 0, found / scale.clamp_min(TINY), 0.0)


def rivals(word: str, context: Context) -> Tensor:
    """The strongest evidence (h, w) of the context's other words."""
    number = context.words.index(word) if word in context.words else NOBODY
    return torch.where(context.owner == number, context.second, context.first)


def is_mask(found: NDArray[np.float32]) -> bool:
    """Whether a map holds one value or two, as a segmenter's do."""
    return bool(((found == found.min()) | (found == found.max())).all())


class Weigher:
    """Weighs words of one frame against its context.

    Args:
        maps: relevancy (h, w) float32 of the context's words; at least one.
        mean: (h, w), the mean map.
        refine: spreads L maps (h, w) along a frame's edges before they are weighed; None for none.
            Masks are left as they are: their edges are better than the frame's.
    """

    def __init__(
        self,
        maps: Mapping[str, NDArray[np.float32]],
        mean: NDArray[np.float32],
        refine: Callable[[Iterable[Tensor]], Tensor] | None = None,
    ) -> None:
        self.mean = mean
        self.refine = None if all(map(is_mask, maps.values())) else refine
        found = dict(zip(maps, self._centred(maps.values()), strict=True))
        self.context = make_context(found)
        self._refined = found if self.refine else {}

    def __call__(self, maps: Mapping[str, NDArray[np.float32]]) -> Tensor:
        """Words' relevancy (h, w) each to their evidence and their rivals': (L, 2, h, w).

        Words of the context have the maps there that they have here: these are refined once.
        """
        found = {word: self._refined[word] for word in maps if word in self._refined}
        new = [word for word in maps if word not in found]
        if new:
            found |= zip(new, self._centred(maps[word] for word in new), strict=True)
        own = evidence(torch.stack([found[word] for word in maps]), self.context.usual)
        others = torch.stack([rivals(word, self.context) for word in maps])
        return torch.stack([own, others], dim=1)

    @property
    def nbytes(self) -> int:
        """What it holds, bytes."""
        context = self.context
        held = (context.first, context.second, context.owner, *self._refined.values())
        return sum(part.nbytes for part in held)

    def _centred(self, maps: Iterable[NDArray[np.float32]]) -> Tensor:
        found = (centred(one, self.mean) for one in maps)
        return self.refine(found) if self.refine else torch.stack(list(found))
