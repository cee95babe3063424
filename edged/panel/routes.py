"""The routes of the page: its files, status, live pictures, alerts, drawings, doctor and log.

Upstream: `guard`, which lets in only who has a session. Downstream: the daemon's parts, by methods that any thread may
call. Every route runs in a thread of starlette's, so that none delays another.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from edged.config.drawing import parse_drawing
from edged.control.dispatcher import CommandHandler, QueuedCommand, validate
from edged.daemon import Daemon
from edged.device.doctor import quick_checks
from edged.drawing.day import draw_day
from edged.drawing.image_file import encode_jpeg
from edged.drawing.side_view import side_view
from edged.errors import CommandRejected, ConfigError, NotWritten
from edged.evidence.store import FILES
from edged.messages.bus import Request as BusRequest
from edged.panel.aiming import Aiming
from edged.panel.drawing import Drawings
from edged.panel.live_view import LiveView
from edged.panel.status import past_alerts, status_body
from edged.units import BYTES_PER_KB

STATIC = Path(__file__).with_name("static")
FRAME_WAIT_S = 3.0  # for a newer picture than the one that the browser has
DAY_MAX_BYTES = 400 * BYTES_PER_KB  # of the picture of a day
SIDE_WH, SIDE_MAX_BYTES = (480, 360), 100 * BYTES_PER_KB
# What may be given at the page, whatever `allow` says.
COMMANDS = ("acknowledge", "snooze", "test-alert", "restart-camera", "switch", "profile")

Page = Callable[[Mapping[str, Any], Mapping[str, Any]], Response]  # of the path's and query's names, and the body


class Pages:
    """What each route answers. Raises CommandRejected, ConfigError and NotWritten, which become errors of the page."""

    def __init__(self, daemon: Daemon, live: LiveView, aiming: Aiming) -> None:
        self._daemon = daemon
        self._live = live
        self._aiming = aiming
        self._drawings = Drawings(daemon)
        self._doctor = threading.Lock()

    def status(self, names: Mapping[str, Any], body: Mapping[str, Any]) -> Response:
        return JSONResponse(status_body(self._daemon, self._aiming))

    def alerts(self, names: Mapping[str, Any], body: Mapping[str, Any]) -> Response:
        return JSONResponse(past_alerts(self._daemon))

    def log(self, names: Mapping[str, Any], body: Mapping[str, Any]) -> Response:
        return JSONResponse(self._daemon.parts.options.recent_lines.lines)

    def frame(self, names: Mapping[str, Any], body: Mapping[str, Any]) -> Response:
        """The next live picture after number `after`; 204 when there is none for three seconds."""
        camera = self._seen_camera(names)
        after = str(names.get("after", "0"))
        picture = self._live.wait(camera, int(after) if after.isdecimal() else 0, FRAME_WAIT_S)
        if picture is None:
            return Response(status_code=204)
        width, height = picture.size_wh
        headers = {"x-number": str(picture.number), "x-size": f"{width} {height}"}
        return Response(picture.jpeg, media_type="image/jpeg", headers=headers)

    def side(self, names: Mapping[str, Any], body: Mapping[str, Any]) -> Response:
        """The people of the last live picture from the side; 204 before the first."""
        picture = self._live.picture(self._seen_camera(names))
        if picture is None:
            return Response(status_code=204)
        jpeg, _ = encode_jpeg(side_view(picture.result, SIDE_WH), SIDE_MAX_BYTES)
        return Response(jpeg, media_type="image/jpeg")

    def aim(self, names: Mapping[str, Any], body: Mapping[str, Any]) -> Response:
        camera = self._camera(names)
        if body.get("on") is True:
            self._aiming.begin(camera)
        else:
            self._aiming.end(camera)
        return JSONResponse({"aiming_s": self._aiming.left_s(camera)})

    def day(self, names: Mapping[str, Any], body: Mapping[str, Any]) -> Response:
        camera = self._camera(names)
        days = self._daemon.parts.behaviour.days(camera)
        if not days:
            raise CommandRejected(f"camera {camera}", got="no day yet", wanted="a stall with days", do="wait")
        jpeg, _ = encode_jpeg(draw_day(camera, days[-1]), DAY_MAX_BYTES)
        return Response(jpeg, media_type="image/jpeg")

    def picture(self, names: Mapping[str, Any], body: Mapping[str, Any]) -> Response:
        """A still or the clip of an alert; a browser may ask for parts of the clip."""
        part, alert_id, store = names["part"], names["alert_id"], self._daemon.parts.evidence
        path = store.path(alert_id, part) if part in FILES else None
        camera = self._daemon.config.cameras.get(store.camera(alert_id) or "")
        if path is None or camera is None or not camera.images:
            return Response(status_code=404)
        return FileResponse(path, media_type="video/mp4" if part == "clip" else "image/jpeg")

    def command(self, names: Mapping[str, Any], body: Mapping[str, Any]) -> Response:
        """What the command of this name does, as over MQTT."""
        verb = str(names["verb"])
        request = BusRequest(path=f"cmd/{verb}", payload=b"", retain=False)
        command = validate(QueuedCommand(request=request, allowed=COMMANDS), body)
        switches = self._daemon.parts.switches
        more: dict[str, CommandHandler] = {"switch": switches.switch, "profile": switches.select_profile}
        return JSONResponse(dict({**self._daemon.parts.handlers, **more}[verb](command).data))

    def doctor(self, names: Mapping[str, Any], body: Mapping[str, Any]) -> Response:
        """The checks that do not disturb the daemon; one run at a time."""
        if not self._doctor.acquire(blocking=False):
            raise CommandRejected("doctor", got="a second one", wanted="one at a time", do="wait for the first")
        try:
            return JSONResponse([asdict(result) for result in quick_checks(self._daemon.config)])
        finally:
            self._doctor.release()

    def drawing(self, names: Mapping[str, Any], body: Mapping[str, Any]) -> Response:
        return JSONResponse(self._drawings.show(self._camera(names)))

    def draw(self, names: Mapping[str, Any], body: Mapping[str, Any]) -> Response:
        """Check a drawing, and with `save` apply it."""
        drawing = parse_drawing({name: value for name, value in body.items() if name != "save"})
        return JSONResponse(self._drawings.change(self._camera(names), drawing, save=body.get("save") is True))

    def undo(self, names: Mapping[str, Any], body: Mapping[str, Any]) -> Response:
        return JSONResponse(self._drawings.undo())

    def _seen_camera(self, names: Mapping[str, Any]) -> str:
        """The name of a camera whose pictures may be seen now. Raises CommandRejected."""
        camera = self._camera(names)
        if not (self._daemon.config.cameras[camera].images or self._aiming.holds(camera)):
            self._live.forget(camera)
            do = "begin aiming, which is announced, or set images = true"
            raise CommandRejected(f"camera {camera}", got="images = false", wanted="pictures that may be seen", do=do)
        return camera

    def _camera(self, names: Mapping[str, Any]) -> str:
        """The name of a camera in use. Raises CommandRejected."""
        name, cameras = str(names["camera"]), self._daemon.config.enabled_cameras
        if name not in cameras:
            raise CommandRejected(
                "camera", got=ascii(name), wanted=f"one of {', '.join(cameras)}", do="reload the page"
            )
        return name


def application(pages: Pages) -> Starlette:
    """The page, without its guard."""
    routes = [
        Route("/", lambda _: FileResponse(STATIC / "index.html")),
        Route("/favicon.ico", lambda _: Response(status_code=204)),
        Mount("/static", StaticFiles(directory=STATIC)),
        _get("/api/status", pages.status),
        _get("/api/alerts", pages.alerts),
        _get("/api/log", pages.log),
        _get("/api/cameras/{camera}/frame", pages.frame),
        _get("/api/cameras/{camera}/side", pages.side),
        _get("/api/cameras/{camera}/day", pages.day),
        _get("/api/cameras/{camera}/drawing", pages.drawing),
        _get("/api/alerts/{alert_id}/{part}", pages.picture),
        _post("/api/cameras/{camera}/aim", pages.aim),
        _post("/api/cameras/{camera}/drawing", pages.draw),
        _post("/api/undo", pages.undo),
        _post("/api/doctor", pages.doctor),
        _post("/api/commands/{verb}", pages.command),
    ]
    return Starlette(routes=routes)


def _get(path: str, page: Page) -> Route:
    return Route(path, _endpoint(page), methods=["GET"])


def _post(path: str, page: Page) -> Route:
    return Route(path, _endpoint(page), methods=["POST"])


def _endpoint(page: Page) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    async def answer(request: Request) -> Response:
        names = {**request.query_params, **request.path_params}
        try:
            body = await _body(request)
            return await run_in_threadpool(page, names, body)
        except CommandRejected as rejection:
            return JSONResponse({"code": rejection.code or "rejected", "error": str(rejection)}, status_code=409)
        except (ConfigError, NotWritten) as exc:
            return JSONResponse({"code": exc.code or "refused", "error": str(exc)}, status_code=400)

    return answer


async def _body(request: Request) -> Mapping[str, Any]:
    """The JSON object of a POST; empty for a GET. Raises ConfigError."""
    if request.method != "POST":
        return {}
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise ConfigError("the request is no JSON object; reload the page", "no-json")
    return body
