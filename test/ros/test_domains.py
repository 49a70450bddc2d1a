"""Domains that nobody uses."""

import contextlib
import socket

import rclpy

from semabs_ros.domains import DOMAINS, FIRST_PORT, PORTS_PER_DOMAIN, free_domain, is_free


@contextlib.contextmanager
def participant(domain):
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    node = rclpy.create_node("participant", context=context)
    try:
        yield
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)


def test_a_domain_with_a_participant_is_not_free():
    """Nor that of a process's second participant, which has other ports of its own."""
    first = free_domain()
    assert first in DOMAINS
    with participant(first):
        second = free_domain()
        assert second != first
        with participant(second):
            assert not is_free(first)
            assert not is_free(second)


def test_used_domains_are_not_chosen(monkeypatch):
    free = list(filter(is_free, DOMAINS))[-3:]
    monkeypatch.setattr("semabs_ros.domains.DOMAINS", free)
    used = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in free[1:]]
    for one, domain in zip(used, free[1:]):
        one.bind(("", FIRST_PORT + PORTS_PER_DOMAIN * domain))
    try:
        assert {free_domain() for _ in range(20)} == set(free[:1])
    finally:
        for one in used:
            one.close()
