"""Home Assistant restarts: the discovery payloads are published again, after a delay on a thread of its own."""

from __future__ import annotations

from pathlib import Path

from edged.messages.build import device_status
from edged.messages.bus import Request
from edged.mqtt.homeassistant import DiscoveryPublisher
from edged.mqtt.homeassistant_payloads import BIRTH, DiscoveryDevice
from tests.support.memory_bus import MemoryBus
from tests.support.messages import HEADERS

STALL = "/homeassistant/device/box/box_stall/config"
DEVICE = DiscoveryDevice(
    id="box",
    base="site",
    name="",
    version="1",
    health_s=30.0,
    cameras={"stall": ("horse",)},
    alert_kinds={"stall": ("camera-lost",)},
)


def birth(payload: bytes) -> Request:
    return Request(path=BIRTH.at(prefix="homeassistant").path, payload=payload, retain=False)


def test_restart_of_home_assistant_repeats_the_payloads(tmp_path: Path) -> None:
    bus = MemoryBus(lambda state: device_status(HEADERS, state))
    publisher = DiscoveryPublisher(bus, DEVICE, tmp_path / "announced.json", enabled=True, birth_delay_s=(0.0, 0.0))
    publisher.start()
    bus.receive(birth(b"offline"))
    assert publisher.delayed is None
    bus.receive(birth(b"online"))
    assert publisher.delayed is not None
    publisher.delayed.join(5)
    assert len(bus.messages_on(STALL)) == 2
