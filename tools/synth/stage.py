"""A place, its light and a camera: renders subjects in it, with their truth.

What stands still is drawn and shaded once; a frame costs its subjects, their shadows and one pass over the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from engines.card.schema import SCHEMAS
from tools.synth.body import Body
from tools.synth.camera import Bend, Camera, Sensor
from tools.synth.geometry import LOOKS, Mesh
from tools.synth.raster import Layer, fill, perspective, to_view
from tools.synth.shade import Eye, Light, compose, shade
from tools.synth.sun import SunMap
from tools.synth.truth import Truth, around, judged
from tools.synth.types import F32, F64, U8

NEAR_M = 0.12
STILL = -1  # the owner of a pixel that shows no subject


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Place:
    """A stall, a yard: static meshes, those that cast shadows, and the light."""

    mesh: Mesh
    casters: Mesh | None
    light: Light
    pictures: F32  # (L, P, P, 3) the ground, finest first
    sky: tuple[F32, F32]  # at the horizon and overhead, linear RGB
    centre: tuple[float, float, float]
    reach_m: float  # radius within which shadows fall


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Actor:
    """A body where it is now."""

    body: Body
    frames: F64
    behaviour: str
    number: int = 0

    @property
    def middle(self) -> F64:
        """Of the box around it, in the world."""
        points = self.body.some(self.frames, 40).astype(np.float64)
        return np.asarray((points.min(axis=0) + points.max(axis=0)) / 2)


class Stage:
    """One camera in one place. Not to be shared between threads."""

    def __init__(self, place: Place, camera: Camera, sensor: Sensor, size_wh: tuple[int, int], finer: float) -> None:
        self.size_wh, self._place, self._sensor, self._camera = size_wh, place, sensor, camera
        self._fine_wh = (round(size_wh[0] * finer), round(size_wh[1] * finer))
        self._lens, self._frame, self._eye = camera.lens(self._fine_wh), camera.frame(), camera.eye(self._fine_wh)
        self._tones, self._bend = sensor.tones(), Bend(camera, size_wh)
        self._layer = Layer(self._fine_wh)
        self._sun = SunMap(place.light.sun_to, np.array(place.centre), place.reach_m, place.casters)
        shape = (*self._fine_wh[::-1], 3)
        self._soft, self._sunny, self._out = (
            _sky(place, self._eye, shape),
            np.zeros(shape, np.float32),
            np.empty(shape, np.uint8),
        )
        self._w, self._owner = np.zeros(shape[:2], np.float32), np.full(shape[:2], STILL, np.int16)
        self._draw(place.mesh, STILL)
        self._still = [a.copy() for a in (self._w, self._soft, self._sunny)]

    def render(self, actors: Sequence[Actor], rng: np.random.Generator) -> tuple[U8, list[Truth]]:
        """Return the image (H, W, 3) BGR, and the truth of every actor with a visible pixel."""
        for buffer, still in zip((self._w, self._soft, self._sunny), self._still, strict=True):
            np.copyto(buffer, still)
        self._owner.fill(STILL)
        meshes = [actor.body.posed(actor.frames) for actor in actors]
        whole = [self._draw(mesh, i) for i, mesh in enumerate(meshes)]
        shadows = self._sun.cast(meshes)
        compose(self._w, self._soft, self._sunny, self._eye, shadows, self._place.light.haze, self._tones, self._out)
        picture = self._bend(np.asarray(cv2.resize(self._out, self.size_wh, interpolation=cv2.INTER_AREA), np.uint8))
        truths = [self._truth(a, i, m, n) for i, (a, m, n) in enumerate(zip(actors, meshes, whole, strict=True))]
        return self._sensor.develop(picture, rng), [t for t in truths if t is not None]

    def _draw(self, mesh: Mesh, owner: int) -> int:
        """Draw a mesh with depth test; return the number of its pixels without occlusion."""
        layer = self._layer
        layer.clear()
        screen, source = perspective(to_view(mesh.vertices, self._frame), mesh.triangles, self._lens, NEAR_M)
        fill(screen, source, layer.w, layer.triangle)
        nearer = layer.w > self._w
        self._w[nearer], self._owner[nearer] = layer.w[nearer], owner
        pixels = np.flatnonzero(nearer).astype(np.int32)
        place = self._place
        seen, parts = (layer.w, layer.triangle), (self._soft, self._sunny)
        shade(pixels, seen, mesh, LOOKS, place.pictures, self._eye, place.light, parts)
        return int((layer.triangle >= 0).sum())

    def _truth(self, actor: Actor, owner: int, mesh: Mesh, whole: int) -> Truth | None:
        fine = self._owner == owner
        mask = self._bend(
            np.asarray(cv2.resize(fine.astype(np.uint8) * 255, self.size_wh, interpolation=cv2.INTER_AREA))
        )
        shown = mask > 90
        if not shown.any():
            return None
        names = actor.body.points
        return Truth(
            kind=actor.body.kind,
            number=actor.number,
            behaviour=actor.behaviour,
            xyxy=around(shown),
            pixels=int(shown.sum()),
            visible=float(fine.sum() / max(whole, 1) * self._inside(mesh)),
            keypoints={name: self._keypoints(actor, name, owner) for name in names if SCHEMAS[name].root is None},
            space_m={name: self._camera.view(actor.body.where(name, actor.frames)) for name in names},
            lens=self._camera.lens(self.size_wh),
        )

    def _inside(self, mesh: Mesh) -> float:
        """Return the share of the vertices of a mesh that lie within the image."""
        xyz = self._camera.pixels(mesh.vertices[::7].astype(np.float64), self._fine_wh)
        return float(
            ((xyz[:, 2] > NEAR_M) & (xyz[:, :2] >= 0).all(axis=1) & (xyz[:, :2] < self._fine_wh).all(axis=1)).mean()
        )

    def _keypoints(self, actor: Actor, schema: str, owner: int) -> F32:
        where = actor.body.where(schema, actor.frames)
        scale = float(np.cbrt(np.linalg.det(actor.frames[0, :3, :3])))
        radius_m = scale * np.array([p.radius_m for p in actor.body.points[schema]])
        fine = self._camera.pixels(where, self._fine_wh)
        w, h = self._fine_wh
        x, y = (np.clip(fine[:, i], 0, n - 1).astype(int) for i, n in enumerate((w, h)))
        in_front = 1 / np.maximum(self._w[y, x], 1e-6)
        xyz = self._camera.pixels(where, self.size_wh)
        at = self._camera.bent(xyz[:, :2], self.size_wh)
        return judged(at, xyz[:, 2], radius_m, in_front, self._owner[y, x] != owner, self.size_wh)


def _sky(place: Place, eye: Eye, shape: tuple[int, ...]) -> F32:
    """The sky by the height a ray goes to."""
    x, y = np.meshgrid(np.arange(shape[1], dtype=np.float32) + 0.5, np.arange(shape[0], dtype=np.float32) + 0.5)
    ray = np.stack([x, y, np.ones_like(x)], axis=-1) @ eye.rays.T
    up = np.clip(ray[..., 2] / np.linalg.norm(ray, axis=-1), 0, 1)[..., None] ** 0.5
    return np.ascontiguousarray(place.sky[0] * (1 - up) + place.sky[1] * up, np.float32)
