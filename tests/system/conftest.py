"""A real MQTT broker on a free loopback port, a subscriber that is not ours, and a network camera."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edged.config.tables.mqtt import MqttConfig, PublishConfig
from edged.messages import build
from edged.messages.build import HeaderFactory
from edged.mqtt.client import MqttBus
from edged.runtime.clock import Clock
from tests.support.certs import NEW_KEY, openssl, sign
from tests.support.models import starter_models_opened_once
from tests.support.mqtt import Listener, Mosquitto

if TYPE_CHECKING:
    from tools.rtsp_server import Clip, RtspServer


LONG = ("test_package.py", "test_reconnects.py", "test_service.py", "test_v4l2_vm.py", "test_tensorrt.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first, as the file that begins last keeps the others waiting."""
    here = [item for item in items if Path(__file__).parent in item.path.parents]
    tests = Counter(item.path for item in here)
    others = [item for item in items if item.path not in tests]
    items[:] = others + sorted(here, key=lambda item: (_rank(item), -tests[item.path], item.path))


def _rank(item: pytest.Item) -> int:
    return LONG.index(item.path.name) if item.path.name in LONG else len(LONG)


@pytest.fixture(scope="session", autouse=True)
def _starter_models_opened_once() -> Iterator[None]:
    with starter_models_opened_once():
        yield


@pytest.fixture(scope="session")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, a server and two clients signed by it, and another authority."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed (apt-get install openssl)")
    at = tmp_path_factory.mktemp("certs")
    for name in ("ca", "other"):
        openssl(
            "req", "-x509", "-days", "2", *NEW_KEY, f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}", at=at
        )
    sign("server", at, "subjectAltName=IP:127.0.0.1")
    for client in ("box", "reader"):
        sign(client, at, "extendedKeyUsage=clientAuth")
    return at


@pytest.fixture(scope="session")
def mosquitto_binary() -> str:
    binary = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if binary is None:
        pytest.skip("mosquitto is not installed (apt-get install mosquitto)")
    return binary


@pytest.fixture
def new_mosquitto(mosquitto_binary: str, tmp_path: Path) -> Iterator[Callable[..., Mosquitto]]:
    """Start a broker with these configuration lines."""
    brokers: list[Mosquitto] = []

    def start(*lines: str) -> Mosquitto:
        brokers.append(Mosquitto(folder=tmp_path, binary=mosquitto_binary, lines=lines or ("allow_anonymous true",)))
        return brokers[-1].start()

    yield start
    for broker in brokers:
        broker.kill()


@pytest.fixture
def mosquitto(new_mosquitto: Callable[..., Mosquitto]) -> Mosquitto:
    return new_mosquitto()


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    listeners: list[Listener] = []

    def start(port: int, topic: str = "#", **settings: Any) -> Listener:
        listeners.append(Listener(port, topic, **settings))
        return listeners[-1]

    yield start
    for listener in listeners:
        listener.close()


@pytest.fixture
def open_bus() -> Iterator[Callable[..., MqttBus]]:
    """The bus of a device at this broker; closed at the end."""
    with ExitStack() as buses:

        def start(
            broker: MqttConfig, *, device: str = "box", queue_size: int = 256, store: Path | None = None
        ) -> MqttBus:
            make_status = partial(build.device_status, HeaderFactory(Clock()))
            bus = MqttBus(broker, device, make_status, PublishConfig(queue_size=queue_size), store)
            buses.callback(bus.close)
            return bus

        yield start


@pytest.fixture(scope="session")
def clip() -> Clip:
    """What a network camera plays."""
    pytest.importorskip("av", reason="PyAV encodes the clip; install edged[dev]")
    from tools.rtsp_server import encode

    return encode()


@pytest.fixture
def server(clip: Clip) -> Iterator[RtspServer]:
    """A network camera."""
    from tools.rtsp_server import serving

    with serving(clip) as server:
        yield server
