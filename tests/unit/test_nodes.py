"""A broker of several nodes: what the configuration takes, in which order they are tried, and how often."""

from __future__ import annotations

import argparse

import pytest
from pydantic import ValidationError

from edged.commands import broker_args
from edged.config.tables.mqtt import MqttConfig, TlsConfig
from edged.mqtt.nodes import Nodes
from edged.runtime.backoff import INITIAL_WAIT_S


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("node-2.example", "node-2.example", 8883),
        ("10.0.0.12:8884", "10.0.0.12", 8884),
        ("fd00::12", "fd00::12", 8883),
        ("[fd00::12]:8884", "fd00::12", 8884),
        ("fe80::1%eth0", "fe80::1%eth0", 8883),
        ("bücher.example.", "bücher.example.", 8883),
    ],
)
def test_node_is_a_host_with_or_without_a_port(address: str, host: str, port: int) -> None:
    first, second = MqttConfig(host="10.0.0.11", port=8883, hosts=(address,)).nodes
    assert (first.host, first.port) == ("10.0.0.11", 8883)
    assert (second.host, second.port, second.hosts) == (host, port, ("10.0.0.11:8883",))
    assert [(node.host, node.port) for node in second.nodes] == [(host, port), ("10.0.0.11", 8883)]


NO_HOSTS = ["a b", "mqtt://a", "u@a", "a,b", "a;b", "a..b", ".a", "256.1.1.1", "10.0.0", "10.0.0.2:1883:tls", "[a]"]


@pytest.mark.parametrize(
    "address", [*NO_HOSTS, "", "a:0", "a:65536", "a:", "a:x", "[fd00::1]:", "fd00::1]:8883", "a:" + 5000 * "1"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValidationError, match="HOST or HOST:PORT"):
        MqttConfig(hosts=(address,))


@pytest.mark.parametrize("host", [*NO_HOSTS, "a:1883", "[fd00::1]"])
def test_host_alone_is_one_name_or_address(host: str) -> None:
    with pytest.raises(ValidationError, match="must be a host name or address alone, IPv6 without brackets"):
        MqttConfig(host=host)
    with pytest.raises(ValidationError, match="as the certificate has it"):
        TlsConfig(server_name=host)


def test_ipv6_address_is_shown_in_brackets() -> None:
    assert MqttConfig(host="fd00::1", hosts=("a",)).address == "[fd00::1]:1883 or a:1883"


@pytest.mark.parametrize("hosts", [("127.0.0.1",), ("a", "a:1883"), ("a", "A")])
def test_node_is_not_named_twice(hosts: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError, match=r"each once; .*:1883 is there twice"):
        MqttConfig(hosts=hosts)


def test_each_device_has_an_order_of_its_own_and_takes_all_nodes_in_turn() -> None:
    config = MqttConfig(host="a", hosts=("b", "c"))
    nodes = Nodes(config, list.reverse)
    seen = []
    for _ in range(4):
        seen.append(nodes.current.host)
        nodes.advance()
    assert seen == ["c", "b", "a", "c"]
    assert len({Nodes(config).current.host for _ in range(100)}) == 3


def test_each_node_is_tried_as_often_as_a_single_one() -> None:
    for count in (1, 3):
        backoff = Nodes(MqttConfig(hosts=tuple("bc"[: count - 1]))).backoff(3.0)
        waits = [backoff.next_s() for _ in range(8)]
        assert count * INITIAL_WAIT_S / 2 <= waits[0] <= count * INITIAL_WAIT_S
        assert count * 1.5 <= waits[-1] <= count * 3.0


@pytest.mark.parametrize(("words", "address"), [(["--host", "c"], "c:1883"), ([], "a:1883 or b:1883")])
def test_host_of_the_command_line_replaces_all_nodes(words: list[str], address: str) -> None:
    parser = argparse.ArgumentParser()
    broker_args.arguments(parser)
    assert broker_args.broker_config(parser.parse_args(words), MqttConfig(host="a", hosts=("b",))).address == address
