"""Which number format is taken where."""

import time

import pytest
import torch

from semabs_core import precision
from semabs_core.precision import choose_dtype, fastest, formats_to_try, mixed_precision

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


@pytest.mark.parametrize(
    ("name", "capabilities", "formats"),
    [
        ("auto", {"avx512_bf16": True}, (torch.float32, torch.bfloat16)),
        ("auto", {"amx_bf16": True, "avx512_bf16": True}, (torch.float32, torch.bfloat16)),
        ("auto", {"avx512_bf16": False, "avx2": True}, (torch.float32,)),
        ("auto", {}, (torch.float32,)),
        ("bf16", {}, (torch.bfloat16,)),
    ],
)
def test_only_a_cpu_that_multiplies_bf16_needs_a_clock(name, capabilities, formats, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert formats_to_try(name, CPU) == formats
    assert formats_to_try("fp32", GPU) == (torch.float32,)


@pytest.mark.parametrize(
    ("exact_s", "rounded_s", "best"),
    [
        (0.02, 0.01, torch.bfloat16),
        (0.02, 0.019, torch.float32),  # digits are worth more than that
        (0.01, 0.02, torch.float32),
        (30.0, 15.0, torch.bfloat16),
    ],
)
def test_the_fastest_format_is_measured_once(exact_s, rounded_s, best, monkeypatch):
    clock, calls = [0.0], []

    def work(dtype, seconds):
        calls.append(dtype)
        clock[0] += seconds * (2 if len(calls) <= 2 else 1)  # slower until it is warm

    monkeypatch.setattr(precision.time, "thread_time", lambda: clock[0])
    steps = {
        torch.float32: lambda: work(torch.float32, exact_s),
        torch.bfloat16: lambda: work(torch.bfloat16, rounded_s),
    }
    what = ("test", exact_s, rounded_s)
    assert fastest(what, steps) == best
    count = len(calls)
    assert count == (2 if exact_s > 1 else 10)
    assert fastest(what, steps) == best
    assert len(calls) == count


def test_waiting_for_the_processor_does_not_decide():
    def busy(seconds):
        end = time.thread_time() + seconds
        while time.thread_time() < end:
            pass

    steps = {
        torch.float32: lambda: busy(0.01),
        torch.bfloat16: lambda: (busy(0.002), time.sleep(0.03)),
    }
    assert fastest("waits", steps) == torch.bfloat16


def test_one_format_is_not_measured():
    def fail():
        raise AssertionError

    assert fastest("one", {torch.float16: fail}) == torch.float16
