"""Meshes with their look: what a surface is made of, and simple solids to build a place from."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tools.synth.types import F32, F64, I32, Numbers

RGB = tuple[float, float, float]


class Stuff(IntEnum):
    """What a surface is made of: a row of `LOOKS`."""

    COAT, HAIR, HOOF, EYE, CLOTH, SKIN, PLANKS, GROUND, PLASTER, METAL, LEAF, HAY, PLASTIC = range(13)


# Columns: noise per m along x, y, z; depth of the noise; gloss strength; gloss exponent; pattern.
PLAIN, BOARDS, PICTURE = range(3)
LOOKS = np.array(
    [
        [14, 14, 14, 0.16, 0.20, 14, PLAIN],  # COAT
        [90, 90, 12, 0.35, 0.15, 10, PLAIN],  # HAIR
        [60, 60, 12, 0.25, 0.10, 12, PLAIN],  # HOOF
        [1, 1, 1, 0.0, 0.9, 60, PLAIN],  # EYE
        [22, 22, 22, 0.20, 0.02, 6, PLAIN],  # CLOTH
        [25, 25, 25, 0.10, 0.08, 12, PLAIN],  # SKIN
        [2.2, 46, 46, 0.38, 0.03, 8, BOARDS],  # PLANKS
        [0.8, 0.8, 0.8, 0.25, 0.0, 4, PICTURE],  # GROUND
        [5, 5, 5, 0.12, 0.02, 6, PLAIN],  # PLASTER
        [12, 12, 12, 0.15, 0.5, 30, PLAIN],  # METAL
        [9, 9, 9, 0.55, 0.03, 6, PLAIN],  # LEAF
        [70, 70, 16, 0.6, 0.0, 4, PLAIN],  # HAY
        [3, 3, 3, 0.06, 0.35, 24, PLAIN],  # PLASTIC
    ],
    np.float32,
)


class Mesh(NamedTuple):
    """Triangles with their look. `rest` is where each vertex's pattern is looked up, in m."""

    vertices: F32  # (V, 3)
    normals: F32  # (V, 3)
    rest: F32  # (V, 3)
    paint: F32  # (V, 3) linear RGB
    triangles: I32  # (T, 3)
    stuff: I32  # (T,)


def linear(rgb: Sequence[float] | F64) -> F32:
    """0..255 as people name colours, to light."""
    return ((np.asarray(rgb, np.float64) / 255) ** 2.2).astype(np.float32)


def joined(meshes: Sequence[Mesh]) -> Mesh:
    offsets = np.cumsum([0, *(len(m.vertices) for m in meshes[:-1])])
    triangles = np.concatenate([m.triangles + o for m, o in zip(meshes, offsets, strict=True)]).astype(np.int32)
    return Mesh(
        vertices=np.concatenate([m.vertices for m in meshes]),
        normals=np.concatenate([m.normals for m in meshes]),
        rest=np.concatenate([m.rest for m in meshes]),
        paint=np.concatenate([m.paint for m in meshes]),
        triangles=triangles,
        stuff=np.concatenate([m.stuff for m in meshes]),
    )


def of(
    vertices: Numbers, normals: Numbers, triangles: I32, stuff: Stuff, paint: Numbers, rest: Numbers | None = None
) -> Mesh:
    """A mesh of one stuff; `paint` is one colour or one per vertex."""
    return Mesh(
        vertices=np.ascontiguousarray(vertices, np.float32),
        normals=np.ascontiguousarray(normals, np.float32),
        rest=np.ascontiguousarray(vertices if rest is None else rest, np.float32),
        paint=np.ascontiguousarray(np.broadcast_to(paint, vertices.shape), np.float32),
        triangles=triangles,
        stuff=np.full(len(triangles), stuff, np.int32),
    )


def panel(corner: ArrayLike, u: ArrayLike, v: ArrayLike, stuff: Stuff, rgb: RGB) -> Mesh:
    """A parallelogram seen from the side u x v points to; boards lie along u."""
    c, a, b = (np.asarray(p, np.float64) for p in (corner, u, v))
    vertices = np.array([c, c + a, c + a + b, c + b], np.float32)
    normal = np.cross(a, b) / np.linalg.norm(np.cross(a, b))
    la, lb = np.linalg.norm(a), np.linalg.norm(b)
    seed = float(np.abs(c).sum() * 7.3 % 50)
    rest = np.array([[0, 0, seed], [la, 0, seed], [la, lb, seed], [0, lb, seed]], np.float32)
    triangles = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    return of(vertices, np.tile(normal, (4, 1)), triangles, stuff, linear(rgb), rest)


def box(low: ArrayLike, high: ArrayLike, stuff: Stuff, rgb: RGB) -> Mesh:
    """Boards lie along its longest side."""
    low_m, size = np.asarray(low, np.float64), np.subtract(high, low).astype(np.float64)
    sides = []
    for axis in range(3):
        u, v = np.eye(3)[(axis + 1) % 3] * size, np.eye(3)[(axis + 2) % 3] * size
        top = low_m + np.eye(3)[axis] * size
        if np.linalg.norm(u) >= np.linalg.norm(v):
            sides += [panel(top, u, v, stuff, rgb), panel(low_m + u, -u, v, stuff, rgb)]
        else:
            sides += [panel(top + u, v, -u, stuff, rgb), panel(low_m, v, u, stuff, rgb)]
    return joined(sides)


def turned(mesh: Mesh, frame: F64) -> Mesh:
    """The mesh in another frame (4 x 4, one scale for all axes)."""
    rotation = frame[:3, :3] / np.cbrt(np.linalg.det(frame[:3, :3]))
    vertices = mesh.vertices @ frame[:3, :3].T + frame[:3, 3]
    return mesh._replace(vertices=vertices.astype(np.float32), normals=(mesh.normals @ rotation.T).astype(np.float32))


def tube(points: F64, radii: Sequence[float], stuff: Stuff, rgb: RGB, sides: int = 12, closed: bool = True) -> Mesh:
    """A bent pipe through the points."""
    path = np.asarray(points, np.float64)
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    up = np.where(np.abs(along[:, 2:]) > 0.9, [[1.0, 0, 0]], [[0, 0, 1.0]])
    across = np.cross(along, up)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    other = np.cross(across, along)
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    out = np.cos(angle)[None, :, None] * across[:, None] + np.sin(angle)[None, :, None] * other[:, None]
    rings = path[:, None] + out * np.asarray(radii, np.float64)[:, None, None]
    n = len(path)
    i, j = np.meshgrid(np.arange(n - 1), np.arange(sides), indexing="ij")
    a, b, c, d = i * sides + j, i * sides + (j + 1) % sides, (i + 1) * sides + (j + 1) % sides, (i + 1) * sides + j
    quads = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    vertices = np.concatenate([rings.reshape(-1, 3), path[[0, -1]]])
    normals = np.concatenate([out.reshape(-1, 3), -along[:1], along[-1:]])
    if closed:
        k = np.arange(sides)
        first = np.stack([np.full(sides, n * sides), (k + 1) % sides, k], -1)
        last = np.stack([np.full(sides, n * sides + 1), (n - 1) * sides + k, (n - 1) * sides + (k + 1) % sides], -1)
        quads = np.concatenate([quads, first, last])
    return of(vertices, normals, quads.astype(np.int32), stuff, linear(rgb))


def ball(centre: Sequence[float], radii: Sequence[float], stuff: Stuff, rgb: RGB, steps: int = 8) -> Mesh:
    """An ellipsoid."""
    polar, round_ = np.meshgrid(np.linspace(0, np.pi, steps), np.linspace(0, 2 * np.pi, 2 * steps), indexing="ij")
    unit = np.stack([np.sin(polar) * np.cos(round_), np.sin(polar) * np.sin(round_), np.cos(polar)], -1).reshape(-1, 3)
    normals = unit / np.asarray(radii, np.float64)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    i, j = np.meshgrid(np.arange(steps - 1), np.arange(2 * steps - 1), indexing="ij")
    a = (i * 2 * steps + j).reshape(-1)
    b, c, d = a + 1, a + 2 * steps + 1, a + 2 * steps
    triangles = np.concatenate([np.stack([a, c, b], -1), np.stack([a, d, c], -1)]).astype(np.int32)
    return of(np.asarray(centre) + unit * np.asarray(radii), normals, triangles, stuff, linear(rgb))


def ribbons(paths: F64, across: F64, width: float, stuff: Stuff, paint: F32) -> Mesh:
    """(N, P, 3) paths as flat strips that narrow to a point; `across` (N, 3) is their width's direction."""
    n, p, _ = paths.shape
    taper = width * np.sqrt(np.linspace(1, 0.02, p))[None, :, None]
    sides = np.stack([paths - across[:, None] * taper / 2, paths + across[:, None] * taper / 2], axis=2)
    along = np.gradient(paths, axis=1)
    normal = np.cross(along, across[:, None])
    normal /= np.linalg.norm(normal, axis=2, keepdims=True) + 1e-9
    s, k = np.meshgrid(np.arange(n), np.arange(p - 1), indexing="ij")
    a = ((s * p + k) * 2).reshape(-1)
    triangles = np.concatenate([np.stack([a, a + 1, a + 3], -1), np.stack([a, a + 3, a + 2], -1)]).astype(np.int32)
    colours = np.repeat(np.broadcast_to(paint, (n, 3)), 2 * p, axis=0)
    return of(sides.reshape(-1, 3), np.repeat(normal, 2, axis=1).reshape(-1, 3), triangles, stuff, colours)
