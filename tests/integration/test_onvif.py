"""Cameras by ONVIF, against one of our own on loopback: found, logged in at, asked; and hostile answers."""

from __future__ import annotations

import io
import re
import socket
import sys
import time
import tracemalloc
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from edged.__main__ import main
from edged.capture.camera import Stream
from edged.capture.onvif import search, soap
from edged.capture.onvif.device import OnvifDevice
from edged.capture.onvif.discovery import FoundCamera, answer_of, discover, rank
from edged.capture.onvif.search import CameraSearch
from edged.capture.onvif.soap import Credentials, parse
from edged.capture.sources.rtsp import RtspCamera
from edged.commands.cameras import names
from edged.config.load import load
from edged.config.tables.camera import CameraConfig
from edged.errors import CameraLost
from tests.support.onvif_camera import (
    MATCH,
    PASSWORD,
    SOAP,
    USER,
    OnvifCamera,
    clock_of,
    discoverable,
    serving,
)
from tests.support.raising import raises_code
from tests.support.tcp_server import tcp_server

LIMIT_S = 60.0
LOGIN = Credentials(USER, PASSWORD)
BOMB = b'<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><a>&c;</a>'
OUTSIDE = b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'


@pytest.fixture
def camera() -> Iterator[OnvifCamera]:
    with serving(OnvifCamera()) as made:
        yield made


def device(camera: OnvifCamera, credentials: Credentials | None = LOGIN, timeout_s: float = LIMIT_S) -> OnvifDevice:
    return OnvifDevice(camera.service, credentials, timeout_s)


def test_probe_finds_the_camera_by_multicast_among_strangers_answers() -> None:
    camera = OnvifCamera(port=8080)
    strange = MATCH.format(number="uuid:another", name="X", addresses="http://127.0.0.1/x", endpoint="").encode()
    with discoverable(camera, b"", b"\xff" * 2000, BOMB, strange):
        assert discover(0.3, ["127.0.0.1"]) == [FoundCamera("127.0.0.1", camera.service, "Door A", "T1")]


def test_camera_is_asked_by_ipv6() -> None:
    with serving(OnvifCamera(host="::1")) as camera:
        assert device(camera).streams()[0][0].url == "rtsp://[::1]:554/main"


def test_address_of_ipv6_gets_the_zone_that_the_answer_came_by() -> None:
    text = MATCH.format(number="n", name="X", addresses="http://[fe80::2]/a http://[FE80::1]:81/d", endpoint="")
    found = answer_of(parse(text.encode()), "n", "fe80::1%eth0")
    assert found is not None
    assert found.service == "http://[fe80::1%eth0]:81/d"


@pytest.mark.parametrize(
    "address",
    ["http://10.9.9.9/d", "file:///etc/passwd", "http://u@127.0.0.1/d", "http://127.0.0.1:0/d", "", "http://[/d"],
)
def test_answer_that_names_another_machine_is_none(address: str) -> None:
    text = MATCH.format(number="n", name="X", addresses=address, endpoint="")
    assert answer_of(parse(text.encode()), "n", "127.0.0.1") is None
    text = MATCH.format(number="n", name="X", addresses=f"{address} http://127.0.0.1/d", endpoint="")
    assert answer_of(parse(text.encode()), "n", "127.0.0.1") == FoundCamera(
        "127.0.0.1", "http://127.0.0.1/d", "X", "T1"
    )


@pytest.mark.parametrize("clock_ahead_s", [0, -86400 * 400, 7200])
def test_streams_of_all_profiles_are_told_whatever_the_clock_of_the_camera(
    camera: OnvifCamera, clock_ahead_s: float
) -> None:
    camera.clock_ahead_s = clock_ahead_s
    asked = device(camera)
    (main_stream, sub), _ = asked.streams()
    assert (main_stream.name, main_stream.codec, main_stream.size) == ("main stream", "H264", "1920x1080")
    assert (main_stream.url, sub.url) == ("rtsp://127.0.0.1:554/main", "rtsp://127.0.0.1:554/sub")
    assert asked.clock_offset_s == pytest.approx(clock_ahead_s, abs=3)
    assert asked.facts().serial == "SN-1"
    assert set(camera.logins) == {"digest"}


def test_camera_that_wants_a_login_for_the_time_is_taken_to_be_on_time(camera: OnvifCamera) -> None:
    camera.time_needs_login = True
    assert device(camera).facts().serial == "SN-1"


def test_password_itself_is_sent_only_when_asked_for(camera: OnvifCamera) -> None:
    camera.login = "plain"
    with pytest.raises(CameraLost, match="wrong user name or password"):
        device(camera).facts()
    assert camera.logins == ["digest"]
    assert device(camera, Credentials(USER, PASSWORD, plain=True)).facts().model == "T1"
    assert PASSWORD not in repr(LOGIN)


def test_login_of_http_is_answered_by_digest_and_never_basic(camera: OnvifCamera) -> None:
    camera.login = "http"
    assert device(camera).facts().manufacturer == "Acme"
    with pytest.raises(CameraLost, match="wrong user name or password"):
        device(camera, Credentials(USER, "wrong")).facts()
    assert set(camera.logins) == {"Digest"}
    camera.login = "basic"
    camera.logins.clear()
    for camera.basic in ('Basic realm="r"', 'X, Basic realm="r"', 'Digest algorithm=X, nonce="n", Basic realm="r"'):
        with pytest.raises(CameraLost, match="wrong user name or password"):
            device(camera).facts()
    assert camera.logins == []


def test_encrypted_connection_is_closed(camera: OnvifCamera, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[socket.socket] = []

    def encrypted(plain: socket.socket) -> socket.socket:
        made.append(socket.socket(fileno=plain.detach()))  # as TLS takes it over
        return made[-1]

    monkeypatch.setattr(soap, "_encrypted", encrypted)
    assert OnvifDevice(camera.service.replace("http:", "https:"), None, LIMIT_S).clock_offset_s < LIMIT_S
    assert [one.fileno() for one in made] == [-1]


@pytest.mark.parametrize("year", [1, 9999])
def test_clock_that_cannot_be_right_is_not_counted_from(camera: OnvifCamera, year: int) -> None:
    camera.answers["GetSystemDateAndTime"] = http(SOAP.format(clock_of(datetime(year, 12, 31))).encode())
    assert device(camera).clock_offset_s == 0.0


def test_stream_that_only_media2_lists_is_found_and_its_word_of_others_counts(camera: OnvifCamera) -> None:
    camera.profiles_2 = (("4k", "H265", 3840, 2160), ("main", "H265", 2560, 1440))
    streams, faults = device(camera).streams()
    assert [(one.name, one.codec, one.size) for one in streams] == [
        ("4k stream", "H265", "3840x2160"),
        ("main stream", "H265", "2560x1440"),
        ("sub stream", "JPEG", "640x360"),  # which the older service lists
    ]
    assert streams[0].url == "rtsp://127.0.0.1:554/4k"
    assert not faults
    camera.answers["GetCapabilities"] = http(SOAP.format("<R/>").encode())  # no older service
    assert len(device(camera).streams()[0]) == 2


def test_media2_that_does_not_answer_hides_no_stream_and_is_named(camera: OnvifCamera) -> None:
    camera.profiles_2 = (("4k", "H265", 3840, 2160),)
    camera.answer_2 = http(b"", "X: y").replace(b"200", b"404")
    streams, faults = device(camera).streams()
    assert [one.name for one in streams] == ["main stream", "sub stream"]
    assert [re.sub(":[0-9]+:", ":", str(fault)) for fault in faults] == [
        "those of Media2: 127.0.0.1: it answers 404; is it an ONVIF camera?"
    ]


def test_media_service_without_an_address_is_named(camera: OnvifCamera) -> None:
    camera.answers["GetCapabilities"] = http(SOAP.format("<Media><XAddr>http://[h/x</XAddr></Media>").encode())
    with pytest.raises(CameraLost, match="no media service"):
        device(camera).streams()


@pytest.mark.parametrize(
    "document", [BOMB, OUTSIDE, b"<a>" * 5000, b"", b"no xml", b"<?xml version='1.0' encoding='x'?><a/>"]
)
def test_hostile_document_is_a_value_error(document: bytes) -> None:
    with pytest.raises(ValueError, match=r"document type|nested|no XML"):
        parse(document)


def http(body: bytes, *headers: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", *headers, "", ""]).encode() + body


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (http(BOMB), "document type"),
        (http(b"<a/>" * 10), "no XML"),
        (b"nonsense", "nonsense"),
        (http(b"", "Location: http://127.0.0.1/").replace(b"200", b"302"), "answers 302"),
        (http(b"x" * (soap.MAX_BYTES + 1)), "longer than"),
        (
            http(SOAP.format("<s:Fault><s:Reason><s:Text>\x7f busy</s:Text></s:Reason></s:Fault>").encode()),
            r"\\x7f busy",
        ),
    ],
    ids=["bomb", "junk", "no http", "redirect", "huge", "fault"],
)
def test_hostile_answer_is_named_and_costs_little(camera: OnvifCamera, answer: bytes, reason: str) -> None:
    camera.answers["GetDeviceInformation"] = answer
    tracemalloc.start()
    with pytest.raises(CameraLost, match=reason):
        device(camera).facts()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 * soap.MAX_BYTES


@pytest.mark.parametrize(
    "url", ["rtsp://h:0/x", "http://127.0.0.1/x", "rtsp://a b/", "", "rtsp://[h/x", "rtsp://h:99999999/"]
)
def test_stream_address_of_another_kind_is_refused(camera: OnvifCamera, url: str) -> None:
    camera.stream = url.replace("&", "&amp;")
    camera.profiles = camera.profiles[:1]
    streams, faults = device(camera).streams()
    assert streams == []
    assert "the address of its stream is none" in str(faults[0])


def test_camera_that_drips_its_answer_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch, camera: OnvifCamera) -> None:
    left = iter([1.0, 1.0, 1.0])

    def left_s(deadline_s: float) -> float:
        try:
            return next(left)
        except StopIteration:
            raise TimeoutError from None

    camera.answers["GetDeviceInformation"] = http(b"", "Content-Length: 100")
    monkeypatch.setattr(soap, "_left_s", left_s)
    monkeypatch.setattr(soap, "CHUNK_BYTES", 1)
    with pytest.raises(CameraLost, match="no whole answer within"):
        soap.call(camera.service, "<GetDeviceInformation/>", LIMIT_S, Credentials(USER, PASSWORD))


def test_command_prints_the_lines_of_the_configuration(
    camera: OnvifCamera, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [FoundCamera(camera.host, camera.service, "Door A", "T1")]
    monkeypatch.setattr("edged.commands.cameras.discover", lambda seconds: found)
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\n"))
    assert main(["cameras", "find", "--user", USER]) == 0
    out = capsys.readouterr().out
    assert '[cameras.door-a]\nsource = "rtsp://127.0.0.1:554/main"\nusername = "admin"\n' in out
    assert '# onvif_serial = "SN-1"' in out
    assert PASSWORD not in out
    monkeypatch.setattr(sys, "stdin", io.StringIO("wrong\n"))
    assert main(["cameras", "find", "--user", USER]) == 1
    assert "wrong user name or password" in capsys.readouterr().out
    assert main(["cameras", "find", "--address", "nowhere"]) == 2
    found.clear()
    assert main(["cameras", "find"]) == 1
    assert "no camera answers" in capsys.readouterr().err


def test_address_that_a_camera_gives_itself_comes_behind_one_that_it_was_given() -> None:
    hosts = ["10.0.0.9", "192.168.1.2", "169.254.0.9", "fd00::1", "fe80::1%eth0"]
    assert sorted(hosts, key=rank) == hosts


def test_camera_with_two_addresses_is_printed_once(
    camera: OnvifCamera, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hosts = ("10.0.0.1", "169.254.0.9")
    found = [FoundCamera(host, camera.service, "Door A", "T1", camera.endpoint) for host in hosts]
    monkeypatch.setattr("edged.commands.cameras.discover", lambda seconds: found)
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\n"))
    assert main(["cameras", "find", "--user", USER]) == 0
    out = capsys.readouterr().out
    assert out.startswith("1 camera:\n  10.0.0.1         Door A  T1  also at 169.254.0.9\n")
    assert out.count("[cameras.") == 1
    assert "# 169.254.0.9: the same camera as 10.0.0.1\n" in out


def test_profile_without_a_stream_hides_no_other_and_what_is_printed_is_a_configuration(
    camera: OnvifCamera, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    camera.serial = "'é\\" + 90 * "1"
    camera.stream = "rtsp://h/{}"
    camera.profiles = (("sp ace", "H264", 1, 1), *camera.profiles)
    found = [FoundCamera(host, camera.service, "IPC", "T1") for host in ("10.0.0.1", "10.0.0.2")]
    monkeypatch.setattr("edged.commands.cameras.discover", lambda seconds: found)
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\n"))
    assert main(["cameras", "find", "--user", USER]) == 0
    out = capsys.readouterr().out
    assert out.count("# a profile without a stream: ") == 2
    (tmp_path / "F").write_text(out.partition("\n\n")[2].replace("# onvif", "onvif"))
    one, two = load(tmp_path / "F").cameras.values()
    assert one.source.reveal() == two.source.reveal() == "rtsp://127.0.0.1/main"
    assert one.onvif_serial == device(camera).facts().serial


def test_cameras_that_call_themselves_alike_get_names_of_their_own() -> None:
    found = [FoundCamera("", "", name, "") for name in ("IPC 3", "IPC", "IPC", "", "ü")]
    assert names(found) == ["ipc-3", "ipc", "ipc-3-3", "camera-4", "camera-5"]


def test_lost_camera_is_found_by_its_serial_once_a_minute(camera: OnvifCamera, monkeypatch: pytest.MonkeyPatch) -> None:
    searches: list[float] = []
    found = [FoundCamera(camera.host, camera.service, "", "")]

    def find(seconds: float) -> list[FoundCamera]:
        searches.append(seconds)
        return found

    one = CameraSearch("SN-1", LOGIN, LIMIT_S, find)
    assert one.moved_from("10.0.0.1") is None
    one.lost()
    assert one.moved_from("10.0.0.1") == camera.host
    one.lost()
    assert one.moved_from(camera.host) is None
    now_s = time.monotonic()
    monkeypatch.setattr("edged.capture.onvif.search.time.monotonic", lambda: now_s + search.PERIOD_S + 1)
    assert one.moved_from(camera.host) is None
    assert len(searches) == 2
    other = CameraSearch("SN-2", LOGIN, LIMIT_S, find)
    other.lost()
    assert other.moved_from("10.0.0.1") is None


def test_stranger_with_the_serial_number_is_not_believed_beside_the_camera(camera: OnvifCamera) -> None:
    with serving(OnvifCamera(host="127.0.0.2")) as stranger, serving(OnvifCamera(host="127.0.0.3")) as third:
        third.serial = "SN-3"
        found = [FoundCamera(one.host, one.service, "", "") for one in (stranger, camera, third)]
        for was, at in ((camera.host, None), ("10.0.0.1", None), ("10.0.0.1", stranger.host)):
            one = CameraSearch("SN-1", LOGIN, LIMIT_S, lambda seconds: found)
            one.lost()
            assert one.moved_from(was) == at
            if was != camera.host:
                camera.serial = "SN-4"


def test_camera_with_two_addresses_is_one_where_each_of_them_says_so(camera: OnvifCamera) -> None:
    with serving(OnvifCamera(host="127.0.0.2")) as second:
        found = [
            FoundCamera(host, one.service, "", "") for host, one in (("169.254.0.9", camera), ("192.168.10.9", second))
        ]
        both = ("192.168.10.9", "169.254.0.9", "fe80::1%eth0", "none")
        for camera.addresses, second.addresses, at in (
            ((), (), None),
            (both, ("192.168.10.9",), None),  # a stranger who names the camera's address
            (both, both, "192.168.10.9"),  # not the one that it gave itself
        ):
            one = CameraSearch("SN-1", LOGIN, LIMIT_S, lambda seconds: found)
            one.lost()
            assert one.moved_from("10.0.0.1") == at
        one = CameraSearch("SN-1", LOGIN, LIMIT_S, lambda seconds: found)
        one.lost()
        assert one.moved_from("169.254.0.9") is None  # it is still there too


def test_password_in_the_path_and_a_search_exclude_each_other() -> None:
    for path in ("user=a_password=b_stream=0.sdp", "x?loginuse=a&loginpas=b", "a/Pass1"):
        with pytest.raises(ValueError, match="a password seems to stand in it"):
            CameraConfig.model_validate({"source": f"rtsp://h/{path}", "onvif_serial": "SN-1"})
    CameraConfig.model_validate({"source": "rtsp://passau/pasture?channel=1", "onvif_serial": "SN-1"})


def test_whoever_is_at_a_new_address_gets_no_password(camera: OnvifCamera) -> None:
    received: list[bytes] = []

    def ask(connection: socket.socket) -> None:
        while data := connection.recv(4096):
            received.append(data)
            number = next(line for line in data.split(b"\r\n") if line.lower().startswith(b"cseq"))
            head = b'RTSP/1.0 401 Unauthorized\r\n%s\r\nWWW-Authenticate: Basic realm="r"\r\n\r\n'
            connection.sendall(head % number)

    with tcp_server(ask) as port:
        source = f"rtsp://127.0.0.2:{port}/live"
        values = {"source": source, "username": USER, "password": PASSWORD, "onvif_serial": "SN-1"}
        moved = RtspCamera("a", CameraConfig.model_validate({**values, "open_timeout_s": 2}))
        found = [FoundCamera(camera.host, camera.service, "", "")]
        moved._search = CameraSearch("SN-1", LOGIN, LIMIT_S, lambda seconds: found)
        for code in ("refused", "moved", "login_unsupported"):
            with raises_code(CameraLost, code):
                moved.open()
    assert any(b"DESCRIBE" in data for data in received)
    assert not any(b"Authorization" in data for data in received)


def test_cameras_that_are_not_asked_in_time_are_named(
    camera: OnvifCamera, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [FoundCamera(host, camera.service, "", "") for host in ("10.0.0.1", "10.0.0.2")]
    monkeypatch.setattr("edged.commands.cameras.discover", lambda seconds: found)
    monkeypatch.setattr("edged.commands.cameras.ALL_S", 0.0)
    monkeypatch.setattr(sys, "stdin", io.StringIO("x\n"))
    assert main(["cameras", "find", "--user", USER]) == 1
    out = capsys.readouterr().out
    assert out.count("not asked: others took the 0 s for all; ask it alone, with --address 10.0.0.") == 2
    with pytest.raises(CameraLost, match="took more than 0 s"):
        device(camera, timeout_s=0.0).facts()


def test_rtsp_camera_that_moved_is_opened_at_its_new_address(
    camera: OnvifCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "rtsp://10.0.0.1:8554/live"
    values = {"source": source, "username": USER, "password": PASSWORD, "onvif_serial": "SN-1"}
    rtsp_camera = RtspCamera("a", CameraConfig.model_validate(values))
    tried: list[str] = []

    def open_(one: RtspCamera) -> Stream:
        tried.append(one._address.url)
        raise CameraLost("no answer")

    monkeypatch.setattr(RtspCamera, "_open", open_)
    found = [FoundCamera(camera.host, camera.service, "", "")]
    rtsp_camera._search = CameraSearch("SN-1", LOGIN, LIMIT_S, lambda seconds: found)
    for reason in ("no answer", "it is here now", "no answer"):
        with pytest.raises(CameraLost, match=reason):
            rtsp_camera.open()
    assert tried == [source, "rtsp://127.0.0.1:8554/live"]
