"""The cache stays within its bytes and keeps what was used last."""

import numpy as np
import torch

from semabs_core.lru import LruCache


def kilobyte(value):
    return np.full(256, value, np.float32)


def test_the_least_recently_used_value_goes():
    cache = LruCache(3 * 1024)
    for name in "abc":
        cache.put(name, kilobyte(ord(name)))
    assert cache.get("a")[0] == ord("a")
    cache.put("d", kilobyte(ord("d")))
    assert [name for name in "abcd" if name in cache] == ["a", "c", "d"]
    assert cache.get("b") is None
    assert cache.used_bytes == 3 * 1024


def test_a_value_takes_the_place_of_its_key_and_of_what_it_needs():
    cache = LruCache(3 * 1024)
    for name in "abc":
        cache.put(name, kilobyte(0))
    cache.put("a", kilobyte(1))
    assert len(cache) == 3
    assert cache.get("a")[0] == 1
    cache.put("large", torch.zeros(512))
    assert "a" in cache
    assert "large" in cache
    assert len(cache) == 2


def test_what_is_larger_than_the_budget_is_not_kept_and_drives_nothing_out():
    cache = LruCache(1024)
    cache.put("a", kilobyte(0))
    cache.put("large", np.zeros(257, np.float32))
    assert "large" not in cache
    assert "a" in cache
    cache.put("a", np.zeros(257, np.float32))  # the old value would be wrong now
    assert "a" not in cache
    assert cache.used_bytes == 0


def test_no_budget_keeps_nothing_and_clear_forgets():
    cache = LruCache(0)
    cache.put("a", kilobyte(0))
    assert len(cache) == 0
    cache = LruCache(2048, size=len)
    cache.put("a", "x" * 2000)
    cache.clear()
    assert (len(cache), cache.used_bytes) == (0, 0)
    cache.put("b", "x" * 2048)
    assert "b" in cache
