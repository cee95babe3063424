"""Answers to a camera's challenge, and what a relay changes in the messages of a viewer and a camera."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from edged.capture.sources import rtsp, rtsp_relay
from edged.capture.sources.rtsp import RtspCamera
from edged.capture.sources.rtsp_describe import RtspReply
from edged.capture.sources.rtsp_login import Login, challenges
from edged.capture.sources.rtsp_relay import MessageSplitter, RelayFilter
from edged.config.tables.camera import CameraConfig
from edged.errors import CameraLost

# RFC 7616, 3.9.1: its challenges, nonce of the client and answers, for GET instead of a method of RTSP.
RFC = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=%s, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
CLIENT_NONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
VIEWER, CAMERA = "rtsp://127.0.0.1:5/token", "rtsp://cam:554"
REFUSED = b'RTSP/1.0 401 Unauthorized\r\nCSeq: %d\r\nWWW-Authenticate: Digest realm="r", nonce="%s"\r\n\r\n'
OPTIONS = f"OPTIONS {VIEWER}/live RTSP/1.0\r\nCSeq: 7\r\n\r\n".encode()


def digest(challenge: str, username: str = "a", password: str = "b") -> str:
    login = Login(username, password)
    assert login.accept([challenge])
    return login.header("DESCRIBE", "rtsp://c/1")


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_digest_equals_the_example_of_the_standard(
    algorithm: str, response: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edged.capture.sources.rtsp_login.token_hex", lambda count: CLIENT_NONCE)
    login = Login("Mufasa", "Circle of Life")
    assert login.accept([RFC % algorithm])
    header = login.header("GET", "/dir/index.html")
    assert f'response="{response}"' in header
    assert f"algorithm={algorithm}, opaque=" in header
    assert "qop=auth, nc=00000001," in header


def test_digest_without_qop_is_the_old_form() -> None:
    """MD5(MD5(a:r:b):n:MD5(DESCRIBE:rtsp://c/1))."""
    header = digest('Digest realm="r", nonce="n"')
    assert header.endswith('response="befdc9fda68e0a686485cce28dc2a9e7"')
    assert "algorithm" not in header


def test_uses_of_a_nonce_are_counted() -> None:
    login = Login("a", "b")
    assert login.accept(['Digest realm="r", nonce="n", qop="auth"'])
    counts = [re.findall("nc=([0-9a-f]+)", login.header("PLAY", "rtsp://c/1")) for _ in range(2)]
    assert counts == [["00000001"], ["00000002"]]


def test_realm_of_quotes_and_other_letters_goes_back_unchanged() -> None:
    assert r'realm="Süd \"1\""' in digest(r'Digest realm="Süd \"1\"", nonce="n"')


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        (['Basic realm="r"', 'Digest realm="r", nonce="n", algorithm=SHA-256'], "Digest"),
        (['Basic realm="r", Digest realm="r", nonce="n"'], "Digest"),
        (['Digest realm="r", nonce="n", algorithm=SHA-3', 'Basic realm="r"'], "Basic"),
        (['Digest realm="r", nonce="n", qop="auth-int"', 'Basic realm="r"'], "Basic"),
    ],
)
def test_first_login_that_is_known_is_taken_and_basic_last(headers: list[str], taken: str) -> None:
    login = Login("a", "b")
    assert login.accept(headers)
    assert login.header("PLAY", "rtsp://c/1").split()[0] == taken


@pytest.mark.parametrize(
    "header", ["", 'Digest realm="r', 'Bearer realm="r"', "=,=\x00", 'Digest nonce="n", algorithm=x']
)
def test_unknown_logins_are_not_accepted(header: str) -> None:
    login = Login("a", "b")
    assert not login.accept([header]) or header == 'Digest realm="r'
    assert isinstance(login.header("PLAY", "rtsp://c/1"), str)


def test_challenge_is_shown_with_what_may_be_unknown_of_it() -> None:
    (challenge,) = challenges(['Digest realm="r", nonce="n", qop="auth-int"'])
    assert (challenge.answerable, str(challenge)) == (False, "digest auth-int")


def test_challenges_of_one_header_are_told_apart() -> None:
    header = 'Digest realm="a, Basic b", nonce="n", algorithm=SHA-256, Digest realm="c", Basic realm="d"'
    assert list(map(str, challenges([header]))) == ["digest SHA-256", "digest", "basic"]


def test_messages_are_split_wherever_they_were_cut() -> None:
    packet, reply = b"$\0\0\4\r\n\r\n", b"RTSP/1.0 200 OK\r\nContent-Length: 6\r\n\r\n\r\n\r\n$\0"
    splitter, data = MessageSplitter(), packet + reply + packet + packet[:5]
    assert [message for byte in data for message in splitter.push(bytes([byte]))] == [packet, reply, packet]


def test_message_without_an_end_is_refused() -> None:
    splitter = MessageSplitter()
    with pytest.raises(ValueError, match="262144"):
        list(splitter.push(b"x" * 300_000))


@pytest.mark.parametrize("begin", [b"", b"RTSP/1.0 200 OK\r\nContent-Length: 5000\r\n\r\n"])
def test_message_that_comes_byte_by_byte_is_searched_once(begin: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    searched, end = [], rtsp_relay.HEAD_END

    def search(data: bytearray, at: int) -> Any:
        searched.append(len(data) - at)
        return end.search(data, at)

    monkeypatch.setattr(rtsp_relay, "HEAD_END", SimpleNamespace(search=search))
    splitter = MessageSplitter()
    for _ in map(list, map(splitter.push, [begin, *[b"x"] * 4000])):
        pass
    assert sum(searched) < 5 * 4000


def test_camera_that_refers_to_another_address_ends_the_connection() -> None:
    relay = RelayFilter(Login("u", "p"), VIEWER, CAMERA)
    relay.from_viewer(OPTIONS)
    with pytest.raises(ValueError, match="another address"):
        relay.from_camera(b"RTSP/1.0 302 Moved\r\nCSeq: 1\r\nLocation: rtsp://10.0.0.9/live\r\n\r\n")


def test_refused_request_is_sent_once_more_with_a_login() -> None:
    relay = RelayFilter(Login("u", "p"), VIEWER, CAMERA)
    assert relay.from_viewer(OPTIONS) == b"OPTIONS rtsp://cam:554/live RTSP/1.0\r\nCSeq: 1\r\n\r\n"
    viewed, asked = relay.from_camera(REFUSED % (1, b"n"))
    assert not viewed
    assert asked.startswith(b"OPTIONS rtsp://cam:554/live RTSP/1.0\r\nCSeq: 2\r\nAuthorization: Digest ")
    assert relay.from_camera(b"RTSP/1.0 200 OK\r\nCSeq: 2\r\n\r\n") == (b"RTSP/1.0 200 OK\r\nCSeq: 7\r\n\r\n", b"")


def test_camera_that_hangs_up_with_its_challenge_is_asked_once_more_unless_it_played() -> None:
    for packets, again in ((b"", True), (b"$\0\0\0", False)):
        relay = RelayFilter(Login("u", "p"), VIEWER, CAMERA)
        relay.from_viewer(OPTIONS)
        relay.from_camera(packets or REFUSED % (9, b"n"))
        _, asked = relay.from_camera(REFUSED % (1, b"n"))
        assert b"Authorization" in asked
        assert (b"Authorization" in relay.after_hang_up()) is again
        assert relay.after_hang_up() == b""


def test_answer_without_a_number_is_that_of_the_latest_request() -> None:
    relay = RelayFilter(Login("u", "p"), VIEWER, CAMERA)
    relay.from_viewer(OPTIONS)
    _, asked = relay.from_camera(b'RTSP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic realm="r"\r\n\r\n')
    assert b"Authorization: Basic " in asked
    assert relay.from_camera(b"RTSP/1.0 200 OK\r\n\r\n")[0] == b"RTSP/1.0 200 OK\r\nCSeq: 7\r\n\r\n"


def test_request_that_is_refused_again_is_told_to_the_viewer() -> None:
    relay = RelayFilter(Login("u", "wrong"), VIEWER, CAMERA)
    relay.from_viewer(OPTIONS)
    relay.from_camera(REFUSED % (1, b"n"))
    viewed, asked = relay.from_camera(REFUSED % (2, b"m"))
    assert viewed.startswith(b"RTSP/1.0 401 Unauthorized\r\nCSeq: 7\r\n")
    assert not asked


def test_packets_and_requests_of_the_camera_pass_unchanged() -> None:
    relay = RelayFilter(Login("u", "p"), VIEWER, CAMERA)
    for message in (b"$\1\0\2ab", b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n", b"RTSP/1.0 200 OK\r\nCSeq: 99\r\n\r\n"):
        assert relay.from_camera(message) == (message, b"")
    assert relay.from_viewer(b"$\1\0\2ab") == b"$\1\0\2ab"


def test_body_and_headers_of_a_request_are_kept() -> None:
    relay = RelayFilter(Login("u", "p"), VIEWER, CAMERA)
    message = b"GET_PARAMETER rtsp://cam:554/live RTSP/1.0\r\nCSeq: 9\r\nSession: 1\r\nContent-Length: 2\r\n\r\nab"
    assert relay.from_viewer(message).split(b"\r\n")[2:] == [b"Session: 1", b"Content-Length: 2", b"", b"ab"]


@pytest.mark.parametrize(
    ("codec", "advice"),
    [
        ("H265", "gave no frame; check its limit of viewers"),
        ("JPEG", "gave no frame; set it to H.264 or H.265"),
    ],
)
def test_stream_without_a_frame_is_not_told_to_be_what_it_is(codec: str, advice: str) -> None:
    reply = RtspReply(200, "OK", (), f"m=video 0 RTP/AVP 96\r\na=rtpmap:96 {codec}/90000\r\n")
    camera = RtspCamera("a", CameraConfig(source="rtsp://10.0.0.9/a"))
    assert advice in str(camera._no_stream(reply))


def test_h265_camera_that_fails_over_the_relay_twice_is_opened_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[bool] = []

    def container(camera: RtspCamera, *_: object) -> Any:
        opened.append(camera._relayed)
        if camera._relayed:
            raise OSError("no relay")
        track = SimpleNamespace(codec_context=SimpleNamespace(name="hevc"))
        return SimpleNamespace(streams=SimpleNamespace(video=[track]), close=lambda: None)

    monkeypatch.setattr(RtspCamera, "_container", container)
    monkeypatch.setattr(rtsp, "describe", lambda *_: RtspReply(200, "OK", (), "m=video 0 RTP/AVP 96\r\n"))
    monkeypatch.setattr(rtsp, "refusal", lambda *_: "")
    camera = RtspCamera("a", CameraConfig(source="rtsp://10.0.0.9/a"))
    for _ in range(2):
        with pytest.raises(CameraLost):
            camera._open_ffmpeg()
    camera._open_ffmpeg()
    assert opened == [False, True, True, False]
