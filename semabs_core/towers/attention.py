"""Looking into a layer's attention without writing the layer again.

timm's attention layers differ in how they make queries, keys and values, and in what they do with
what was attended: rotary positions, norms, gates, scales. All bring these together by one call of
``scaled_dot_product_attention``, which can be listened to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from semabs_core.towers.base import EncoderError
from semabs_core.towers.pooling import Attended, attended

NOT_FUSED = "its attention is not timm's fused one: unset TIMM_FUSED_ATTN"


class _Listener(TorchFunctionMode):
    """Hands every call of the fused attention in this thread to a function instead."""

    def __init__(self, attend: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self._attend = attend

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is not F.scaled_dot_product_attention:
            return func(*args, **kwargs)
        if kwargs.get("attn_mask") is not None or kwargs.get("scale") is not None:
            raise EncoderError("its attention is masked or scaled: relevancy is not defined for it")
        return self._attend(*args[:3])


class _Reached(Exception):  # noqa: N818
    """The attention of a layer was reached: enough."""

    def __init__(self, *parts: Tensor) -> None:
        super().__init__()
        self.parts = parts


def reach_attention(layer: Callable[[], Any]) -> tuple[Tensor, ...]:
    """Run a layer no further than its attention.

    Args:
        layer: runs it.

    Returns:
        Queries (T, heads, Q, w), keys and values (T, heads, M, w).

    Raises:
        EncoderError: if its attention is not the fused one.
    """

    def stop(*parts: Tensor) -> Tensor:
        raise _Reached(*parts)

    try:
        with _Listener(stop):
            layer()
    except _Reached as reached:
        return reached.parts
    raise EncoderError(NOT_FUSED)


def pass_attention(layer: Callable[[Tensor], Tensor], tokens: Tensor, context: Tensor) -> Tensor:
    """What a layer makes of tokens, if its attention brings together what is given.

    Args:
        layer: tokens (T, Q, W) to tokens (T, Q, W), each by itself but for the attention.
        tokens: (T, Q, W).
        context: (T, heads, Q, w) attended values.
    """
    with _Listener(lambda *parts: context):
        return layer(tokens)


def open_attention(run: Callable[[], Tensor], layers: int) -> tuple[Tensor, list[Attended]]:
    """Run layers with their attention in the open.

    Args:
        run: runs them.
        layers: how many they are.

    Returns:
        What it returned, and each layer's attention in order.

    Raises:
        EncoderError: if the attention of one of them is not the fused one.
    """
    seen: list[Attended] = []

    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        seen.append(attended(query, key, value))
        return seen[-1].context.unflatten(-1, (query.shape[1], -1)).transpose(1, 2)

    with _Listener(attend):
        result = run()
    if len(seen) != layers:
        raise EncoderError(NOT_FUSED)
    return result, seen
