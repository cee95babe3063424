"""`edged cameras find`: the cameras of this network by ONVIF, and the lines of the configuration for their streams."""

from __future__ import annotations

import argparse
import getpass
import re
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import NamedTuple

from edged.capture.onvif.device import CameraStream, DeviceFacts, OnvifDevice
from edged.capture.onvif.discovery import FoundCamera, discover, netloc
from edged.capture.onvif.soap import Credentials
from edged.commands.argument_types import seconds
from edged.config.toml_text import dump, toml_value
from edged.errors import CameraLost, ConfigError
from edged.units import plural

CAMERA_S, ALL_S = 20.0, 60.0  # for the requests to one camera, and to all of them
AT_ONCE = 16  # cameras that are asked beside each other: some take seconds
SERVICE = "http://{}/onvif/device_service"  # without an answer to a probe. Source: ONVIF Core Specification, 5.1.1


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    find = actions.add_parser("find", help="Cameras that answer an ONVIF probe, and with --user their streams.")
    find.add_argument("--seconds", type=seconds, default=3.0, help="time for answers (3)")
    find.add_argument(
        "--user", metavar="NAME", help="log in with this name; the password is asked once, or read from stdin"
    )
    find.add_argument(
        "--address", action="append", default=[], metavar="IP", help="this camera alone, by IPv4 or IPv6; repeatable"
    )
    find.add_argument(
        "--plain-password", action="store_true", help="send the password itself: for cameras that refuse a digest"
    )


def run(args: argparse.Namespace) -> int:
    """0: every camera that was found answered; 1: one did not, or there is none."""
    named = [_named(address) for address in args.address]
    found = named or discover(args.seconds)
    if not found:
        print("no camera answers; is ONVIF switched on in them, and this machine in their network?", file=sys.stderr)
        return 1
    print(_table(found))
    if args.user is None:
        print("for their streams: edged cameras find --user NAME")
        return 0
    credentials = Credentials(args.user, _password(args.user), plain=args.plain_password)
    end_s = time.monotonic() + ALL_S
    with ThreadPoolExecutor(AT_ONCE) as pool:
        shown = list(pool.map(lambda name, camera: _shown(name, camera, credentials, end_s), names(found), found))
    first: dict[tuple[str, str], str] = {}  # address of each camera that says what it is, and its serial number
    for camera, one in zip(found, shown, strict=True):
        known = first.setdefault((camera.endpoint, one.serial), camera.host) if camera.endpoint and one.serial else None
        again = known is not None and known != camera.host
        print(f"\n# {camera.host}: the same camera as {known}\n" if again else one.text, end="")
    return int(not all(one.answered for one in shown))


def _table(found: Sequence[FoundCamera]) -> str:
    """A line per camera; one that answers at several addresses is shown by the first, with the others behind it."""
    cameras: dict[object, list[FoundCamera]] = {}
    for camera in found:
        told = (camera.endpoint, camera.name, camera.hardware)
        cameras.setdefault(told if camera.endpoint else camera.host, []).append(camera)
    lines = [f"{plural(len(cameras), 'camera')}:"]
    for one, *others in cameras.values():
        also = f"  also at {', '.join(other.host for other in others)}" if others else ""
        lines.append(f"  {one.host:15}  {one.name or '-'}  {one.hardware or '-'}{also}")
    return "\n".join(lines)


def _named(address: str) -> FoundCamera:
    try:
        host = str(ip_address(address))
    except ValueError:
        wanted = "want an address, like 192.168.1.40 or fe80::1%eth0"
        raise ConfigError(f"--address {address!a}: {wanted}", "address") from None
    return FoundCamera(host, SERVICE.format(netloc(host)), "", "")


def _password(user: str) -> str:
    if sys.stdin.isatty():
        return getpass.getpass(f"password of {user}: ")
    return sys.stdin.readline().rstrip("\n")


class _Shown(NamedTuple):
    """What one camera answered."""

    text: str
    answered: bool  # as it should
    serial: str = ""


def _shown(name: str, camera: FoundCamera, credentials: Credentials, end_s: float) -> _Shown:
    """A camera's lines; nobody is asked after `end_s`."""
    if (left_s := end_s - time.monotonic()) <= 0:
        why = f"not asked: others took the {ALL_S:g} s for all; ask it alone, with --address {camera.host}"
        return _Shown(f"\n# {camera.host}: {why}\n", answered=False)
    device = OnvifDevice(camera.service, credentials, min(CAMERA_S, left_s))
    try:
        facts, (streams, faults), offset_s = device.facts(), device.streams(), device.clock_offset_s
    except CameraLost as error:
        return _Shown(f"\n# {camera.host}: {error}\n", answered=False)
    clock = f"; its clock is {abs(offset_s):.0f} s {'ahead' if offset_s > 0 else 'behind'}" if abs(offset_s) > 2 else ""
    told = f"{facts.manufacturer} {facts.model}, serial number {facts.serial or 'not told'}{clock}"
    lines = [f"\n# {camera.host}: {told}\n{_lines(name, facts, streams, credentials.username)}"]
    lines += [f"# a profile without a stream: {fault}\n" for fault in faults]
    return _Shown("".join(lines), bool(streams) or not faults, facts.serial)


def names(found: Sequence[FoundCamera]) -> list[str]:
    """Of the cameras in the configuration, from what they call themselves, often all alike; each is another."""
    given: list[str] = []
    for number, camera in enumerate(found, 1):
        name = re.sub("[^a-z0-9]+", "-", camera.name.lower()).strip("-")[:32] or f"camera-{number}"
        while name in given:
            name += f"-{number}"
        given.append(name)
    return given


def _lines(name: str, facts: DeviceFacts, streams: list[CameraStream], username: str) -> str:
    if not streams:
        return "# it has no profile with video\n"
    keys = {"source": streams[0].url, "username": username}
    others = "".join(f"# or {stream.url}  ({_words(stream)})\n" for stream in streams[1:])
    again = "finds it again when its address has changed"
    serial = f"# onvif_serial = {toml_value(facts.serial)}  # {again}\n" if facts.serial else ""
    table = dump({"cameras": {name: keys}})
    return f"# {_words(streams[0])}; the password as the credential cameras.{name}.password\n{table}{others}{serial}"


def _words(stream: CameraStream) -> str:
    return " ".join(part for part in (stream.name, stream.codec, stream.size) if part)
