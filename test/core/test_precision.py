"""Which number format is taken where."""

import pytest
import torch

from semabs_core.precision import choose_dtype, mixed_precision

CPU, GPU = torch.device("cpu"), torch.device("cuda:0")


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)],
)
def test_names_stand_for_formats_everywhere(name, dtype):
    assert choose_dtype(name, CPU) == choose_dtype(name, GPU) == dtype


@pytest.mark.parametrize(
    ("capabilities", "dtype"),
    [
        ({"amx_bf16": True, "avx512_bf16": True}, torch.bfloat16),
        ({"avx512_bf16": True}, torch.float32),  # slower on some of them
        ({"avx2": True}, torch.float32),
        ({}, torch.float32),
    ],
)
def test_auto_on_a_cpu_is_what_is_fast(capabilities, dtype, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert choose_dtype("auto", CPU) == dtype


@pytest.mark.parametrize(
    ("capability", "dtype"),
    [
        ((7, 0), torch.float16),  # V100
        ((7, 5), torch.float16),  # T4
        ((8, 0), torch.bfloat16),  # A100
        ((8, 7), torch.bfloat16),  # Orin
        ((9, 0), torch.bfloat16),  # H100
    ],
)
def test_auto_on_a_gpu_does_not_trust_emulation(capability, dtype, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert choose_dtype("auto", GPU) == dtype


def test_float32_leaves_everything_as_it_is():
    a = torch.rand(4, 4)
    with mixed_precision(CPU, torch.float32):
        assert (a @ a).dtype == torch.float32
    with mixed_precision(CPU, torch.bfloat16):
        assert (a @ a).dtype == torch.bfloat16
