"""At least 200 generated inputs at each boundary: no crash, nothing unprintable, nothing long, no growth.

Seeded, so that a failure comes again. Boundaries: commands from the broker, other devices' messages, cameras' answers,
configuration files, state files.
"""

from __future__ import annotations

import json
import random
import re
import socket
import string
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from edged.capture.sources.rtsp import RtspCamera
from edged.capture.sources.rtsp_describe import Address, describe, media
from edged.capture.sources.rtsp_login import Login
from edged.capture.sources.rtsp_relay import MessageSplitter, RelayFilter
from edged.commands.fleet_view import message_line
from edged.config.load import load
from edged.config.tables.camera import CameraConfig
from edged.control.dispatcher import CommandDispatcher, CommandResult, reply_topic
from edged.errors import CameraLost, ConfigError
from edged.messages.build import device_status
from edged.messages.bus import MAX_PAYLOAD_BYTES, Request
from edged.messages.commands import COMMANDS
from edged.mqtt.duplicate_id import describe as describe_device
from edged.mqtt.fleet_state import FleetState
from edged.mqtt.incoming import IncomingMessage
from edged.runtime.json_state import JsonState
from tests.support.memory_bus import MemoryBus
from tests.support.messages import HEADERS
from tests.support.tcp_server import tcp_server

COUNT = 250
SECRET = "s3cr3t"  # in what is asked of cameras, and in configurations
MAX_TEXT = 2000  # characters of any text that is made of foreign ones
ROOT = "edged/box/"
ALPHABET = string.printable + "\x00\x07\x1b\x7f\x9b\u202e\u2028\ud800\U0001f40eé馬"
SEEDS = range(COUNT)

Generator = Callable[[random.Random], bytes]


def text(rng: random.Random, longest: int = 300) -> str:
    return "".join(rng.choices(ALPHABET, k=rng.randrange(longest)))


def raw(data: str) -> bytes:
    return data.encode("utf-8", "surrogatepass")


def value(rng: random.Random, depth: int = 0) -> object:
    """Any value of JSON, numbers beyond all bounds among them."""
    if depth < 4 and rng.random() < 0.4:
        if rng.random() < 0.5:
            return [value(rng, depth + 1) for _ in range(rng.randrange(5))]
        return {text(rng, 20): value(rng, depth + 1) for _ in range(rng.randrange(5))}
    return rng.choice(
        [None, True, 0, -1, 1 << 70, 1e308, float("inf"), float("nan"), "", text(rng), "2026-01-01", rng.random()]
    )


def mutated(rng: random.Random, good: bytes) -> bytes:
    """A good input with bytes replaced, removed, repeated, or its end cut off."""
    data = bytearray(good)
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(4):
            case 0:
                data[at : at + 1] = rng.randbytes(1)
            case 1:
                del data[at : at + rng.randrange(20)]
            case 2:
                data[at:at] = data[at : at + 10] * rng.randrange(20)
            case _:
                del data[at:]
    return bytes(data)


def payload(rng: random.Random) -> bytes:
    kinds: list[Generator] = [
        lambda rng: rng.randbytes(rng.randrange(6000)),
        lambda rng: raw(text(rng)),
        lambda rng: json.dumps(value(rng)).encode(),
        lambda rng: json.dumps({name: value(rng) for name in ("id", "hz", "camera", "alert_id", "minutes")}).encode(),
        lambda rng: b'{"a":' * rng.randrange(5000),
        lambda rng: b"[" * rng.randrange(5000),
        lambda rng: b"9" * rng.randrange(6000),
        lambda rng: mutated(rng, b'{"id": "a1", "hz": 5, "camera": "barn"}'),
    ]
    return rng.choice(kinds)(rng)


def assert_shown(shown: str, longest: int = MAX_TEXT) -> None:
    assert shown.isprintable(), shown
    assert len(shown) <= longest
    assert SECRET not in shown


def leaves(body: object) -> Iterator[str]:
    """Every text in a message."""
    if isinstance(body, dict):
        for key, item in body.items():
            yield from (str(key), *leaves(item))
    elif isinstance(body, list | tuple):
        for item in body:
            yield from leaves(item)
    elif isinstance(body, str):
        yield body


def send(dispatcher: CommandDispatcher, rng: random.Random) -> None:
    verb = rng.choice([*COMMANDS, text(rng, 60).replace("/", ""), f"v{rng.random()}"])
    topic = rng.choice([None, text(rng), "/".join(["a"] * rng.randrange(300)), f"{ROOT}cmd/{text(rng, 50)}/x", ROOT])
    message = IncomingMessage(
        topic=f"cmd/{verb}",
        payload=payload(rng),
        retain=rng.random() < 0.1,
        response_topic=topic,
        correlation=rng.choice([None, rng.randbytes(rng.randrange(60_000))]),
    ).limited(MAX_PAYLOAD_BYTES)
    dispatcher.on_request(
        Request(
            path=message.topic,
            payload=message.payload,
            retain=message.retain,
            response_topic=message.response_topic,
            correlation=message.correlation,
        )
    )
    dispatcher.run_next()


def test_commands_are_answered_in_few_printable_words_and_nothing_grows() -> None:
    bus = MemoryBus(lambda state: device_status(HEADERS, state))
    table = dict.fromkeys(COMMANDS, lambda command: CommandResult())
    dispatcher = CommandDispatcher(bus, HEADERS, table, tuple(COMMANDS), root=ROOT)
    rng = random.Random(1)
    for _ in SEEDS:
        send(dispatcher, rng)
    for topic, body in list(bus.messages)[1:]:
        assert topic.removeprefix("/").removeprefix(ROOT).startswith("cmd/")
        assert len(topic) < 300
        for shown in leaves(body):
            assert_shown(shown, 600)
    assert len(bus.messages) == COUNT + 1
    bus.messages.clear()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in SEEDS:
        send(dispatcher, rng)
        bus.messages.clear()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 64 * 10_000  # the replies that are kept, with their commands


def test_response_topics_never_lead_out() -> None:
    rng = random.Random(2)
    for _ in SEEDS:
        wanted = rng.choice([ROOT, f"{ROOT}cmd/", f"{ROOT}cmd/x/", "site/", ""]) + text(rng, 400)
        found = reply_topic(wanted, ROOT, ["site"])
        if found is not None:
            assert found.path.startswith((f"/{ROOT}cmd/", "/site/"))
            assert_shown(found.path, 260)


def test_messages_of_other_devices_are_shown_in_one_printable_line() -> None:
    rng, fleet, number = random.Random(3), FleetState("edged", lambda: 0), 0
    for _ in SEEDS:
        kind = rng.choice(["status", "info", "health", "cam/a/status", "cam/a/state", "cam/a/poses", "cam/a/alert"])
        data = rng.choice([payload(rng), mutated(rng, b'{"v": 1, "state": "online", "reason": "x", "seq": 3}')])
        body = fleet.update(f"edged/{text(rng, 30)}/{kind}", data)
        assert_shown(describe_device(data), 201)
        if body is not None:
            number += 1
            assert_shown(message_line(f"edged/{text(rng, 30)}/{kind}", body))
    assert number > 3  # some of them are no nonsense


def answers(rng: random.Random) -> bytes:
    """What a camera may send in place of an RTSP answer."""
    good = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 60\r\n\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    length = rng.choice(["²", "9" * 6000, "-1", "0x10", "1e9", "60", str(1 << 31), ""])
    kinds: list[Generator] = [
        lambda rng: mutated(rng, good),
        lambda rng: rng.randbytes(rng.randrange(5000)),
        lambda rng: f"RTSP/1.0 {rng.randrange(1000):03d} ".encode() + raw(text(rng, 3000)) + b"\r\n\r\n",
        lambda rng: f"RTSP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n".encode() + raw(text(rng)),
        lambda rng: b"RTSP/1.0 401 U\r\nWWW-Authenticate: Digest " + raw(text(rng)) + b"\r\n\r\n",
        lambda rng: b"RTSP/1.0 200 OK\r\n" + b"A: b\r\n" * rng.randrange(3000),
        lambda rng: b"RTSP/1.0 200 " + b"x" * 100_000,
        lambda rng: b"",
    ]
    return rng.choice(kinds)(rng)


@pytest.fixture
def hostile_camera() -> Iterator[Address]:
    """Each connection gets the next answer of a seed, and is closed."""
    rng, listener = random.Random(4), socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                with client, suppress(OSError):
                    client.settimeout(5)
                    client.recv(4096)
                    client.sendall(answers(rng))
                    client.shutdown(socket.SHUT_WR)
                    while client.recv(4096):
                        pass

    thread = threading.Thread(target=serve)
    thread.start()
    source = f"rtsp://me:s3cr3t@127.0.0.1:{listener.getsockname()[1]}/live/s3cr3t"
    yield Address.from_settings(CameraConfig(source=source))
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(60)


def test_answers_of_cameras_end_in_a_short_reason(hostile_camera: Address) -> None:
    described = 0
    for _ in SEEDS:
        try:
            reply = describe(hostile_camera, 30)
        except CameraLost as lost:
            assert_shown(str(lost), 500)
        else:
            described += 1
            for name, encoding in media(reply.body):
                assert_shown(name + encoding, 90)
    assert described > 0


DESCRIPTION = b"m=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\n"


def stream(rng: random.Random) -> bytes:
    """A description of H.265, and packets whose numbers, lengths and headers may be any; or what is none of it."""
    data = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: %d\r\n\r\n" % len(DESCRIPTION) + DESCRIPTION
    number = 0
    for _ in range(rng.randrange(40)):
        number = rng.choice([number + 1, number + 1, number, rng.randrange(65536)]) % 65536
        head = bytes([128 | rng.choice([0, 16, 15]), 96 | rng.choice([0, 128])]) + number.to_bytes(2, "big") + bytes(8)
        packet = head + bytes([rng.choice([49, 50, 1]) << 1]) + rng.randbytes(rng.randrange(30))
        length = rng.choice([len(packet)] * 4 + [0, 65535, rng.randrange(70)])
        data += b"$" + rng.randbytes(1) + length.to_bytes(2, "big") + packet
    return rng.choice([data, mutated(rng, data), answers(rng) + data])


def test_bytes_of_a_camera_pass_the_relay_or_end_it_and_stay_few() -> None:
    rng, passed = random.Random(7), 0
    for _ in SEEDS:
        relay, splitter = RelayFilter(Login("u", SECRET), "rtsp://viewer/token", "rtsp://camera"), MessageSplitter()
        relay.from_viewer(b"DESCRIBE rtsp://viewer/token/live RTSP/1.0\r\nCSeq: 1\r\n\r\n")
        data, sent = stream(rng), 0
        cuts = sorted({0, len(data), *(rng.randrange(len(data) + 1) for _ in range(5))})
        with suppress(ValueError):
            for begin, end in pairwise(cuts):
                for viewed, asked in map(relay.from_camera, splitter.push(data[begin:end])):
                    assert SECRET.encode() not in viewed
                    assert len(asked) < 2 * MAX_TEXT
                    sent += len(viewed)
            passed += 1
        assert sent < 7 * len(data) + 100  # two marks before the smallest packet
    assert passed > COUNT // 2


def test_camera_that_sends_a_byte_now_and_then_is_left_at_the_deadline() -> None:
    gone = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            client, _ = listener.accept()
            with client, suppress(OSError):
                while not gone.wait(0.05):
                    client.sendall(b"R")

        thread = threading.Thread(target=drip)
        thread.start()
        address = Address.from_settings(CameraConfig(source=f"rtsp://127.0.0.1:{listener.getsockname()[1]}/a"))
        with pytest.raises(CameraLost) as raised:
            describe(address, 1)
        gone.set()
        thread.join(60)
    assert raised.value.code == "timeout"


GOOD_TOML = b"""version = 1
[device]
id = "box"
[mqtt]
host = "10.0.0.1"
username = "me"
password = "s3cr3t"
[cameras.a]
source = "rtsp://me:s3cr3t@10.0.0.2/live?token=s3cr3t"
fps = 5
masks = [[[0, 0], [320, 0], [0, 240]]]
"""


def test_configuration_files_are_read_or_refused_without_their_secrets(tmp_path: Path) -> None:
    rng, file, read = random.Random(5), tmp_path / "f.toml", 0
    for _ in SEEDS:
        kinds: list[Generator] = [
            lambda rng: mutated(rng, GOOD_TOML),
            lambda rng: mutated(rng, GOOD_TOML),
            lambda rng: GOOD_TOML + raw(f"\n[x]\n{text(rng)} = {text(rng)}"),
            lambda rng: b"a = " + b"[" * rng.randrange(3000),
            lambda rng: b"a = " + b"9" * rng.randrange(6000),
            lambda rng: rng.randbytes(rng.randrange(3000)),
        ]
        file.write_bytes(rng.choice(kinds)(rng))
        try:
            config = load(file, env={})
        except ConfigError as error:
            for line in str(error).split("\n"):
                assert_shown(line)
        else:
            read += 1
            assert "s3cr3t" not in repr(config)
    assert read > 0


def test_state_files_are_read_or_put_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rng, state, none = random.Random(6), JsonState(tmp_path / "state.json", "numbers"), dict[str, int]()

    def parse(table: dict[str, dict[str, float]]) -> dict[str, int]:
        return {name: int(row["n"]) for name, row in table.items()}

    for _ in SEEDS:
        good = json.dumps({"a": {"n": rng.random()}}).encode()
        kinds: list[Generator] = [payload, lambda rng, good=good: mutated(rng, good), lambda _, good=good: good]  # type: ignore[misc]
        (tmp_path / "state.json").write_bytes(rng.choice(kinds)(rng))
        assert isinstance(state.read(parse, none), dict)
    state.write({"a": {"n": 1}})
    assert state.read(parse, none) == {"a": 1}
    assert all(len(record.getMessage()) < MAX_TEXT for record in caplog.records)


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("rtsp://admin:secret@10.0.0.8:8554/other?token=t", "rtsp://***@10.0.0.8:8554/…"),
        ("/other?token=t", "another address"),
    ],
)
def test_camera_that_refers_to_another_address_says_so_without_secrets(location: str, told: str) -> None:
    moved = f"RTSP/1.0 302 Moved\r\nCSeq: 1\r\nLocation: {location}\r\n\r\n".encode()

    def answer(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(moved)

    with tcp_server(answer) as port:
        wanted = CameraConfig(source=f"rtsp://127.0.0.1:{port}/live")
        with pytest.raises(CameraLost, match=re.escape(f"refers to {told} (302 Moved); set that as source")):
            describe(Address.from_settings(wanted))


def test_password_does_not_follow_a_camera_to_another_address() -> None:
    strangers: list[bytes] = []

    def stranger(connection: socket.socket) -> None:
        strangers.append(connection.recv(4096))

    def answer(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(f"RTSP/1.0 302 Moved\r\nCSeq: 1\r\nLocation: rtsp://127.0.0.1:{other}/\r\n\r\n".encode())

    with tcp_server(stranger) as other, tcp_server(answer) as port:
        camera = RtspCamera("a", CameraConfig(source=f"rtsp://me:{SECRET}@127.0.0.1:{port}/live"))
        with pytest.raises(CameraLost, match="set that as source"):
            camera.open()
    assert strangers == []
