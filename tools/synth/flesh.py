"""Flesh to mesh: rounded cones melt into one closed surface, which is polygonised by surface nets.

Runs once per body; the mesh is then bent by `skeleton`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit, prange

from tools.synth.types import F32, F64, I32

GRID_M = 0.019  # cells of the polygoniser
COARSE = 4  # cells per side of a block that is looked at only if the surface may pass through it
OUTSIDE = np.float32(9.0)


class Cone(NamedTuple):
    """A rounded cone from `a` to `b` (m); `flat` scales its width (y); `melt` is how far it flows into the rest."""

    bone: str
    a: tuple[float, float, float]
    b: tuple[float, float, float]
    ra: float
    rb: float
    flat: float = 1.0
    melt: float = 0.05


def both(cone: Cone) -> tuple[Cone, Cone]:
    """The cone as given, on the left, and its mirror image on the right; a bone `*leg` is `left_leg`, `right_leg`."""
    (ax, ay, az), (bx, by, bz) = cone.a, cone.b
    right = cone._replace(bone=cone.bone.replace("*", "right_"), a=(ax, -ay, az), b=(bx, -by, bz))
    return cone._replace(bone=cone.bone.replace("*", "left_")), right


def packed(cones: Sequence[Cone]) -> F32:
    """(N, 10) ax ay az bx by bz ra rb flat melt."""
    return np.array([[*c.a, *c.b, c.ra, c.rb, c.flat, c.melt] for c in cones], np.float32)


@njit(fastmath=True, cache=True, inline="always")
def _cone(c: F32, x: float, y: float, z: float) -> float:
    """Distance to one cone, to first order."""
    ux, uy, uz = c[3] - c[0], c[4] - c[1], c[5] - c[2]
    px, py, pz = x - c[0], y - c[1], z - c[2]
    t = (px * ux + py * uy + pz * uz) / (ux * ux + uy * uy + uz * uz + 1e-9)
    t = min(max(t, 0.0), 1.0)
    dx, dy, dz = px - t * ux, (py - t * uy) / c[8], pz - t * uz
    far = np.sqrt(dx * dx + dy * dy + dz * dz) + 1e-9
    slope = np.sqrt(dx * dx + dy * dy / (c[8] * c[8]) + dz * dz) / far
    return float((far - c[6] - (c[7] - c[6]) * t) / max(slope, 1e-3))


@njit(fastmath=True, cache=True)
def _depth(cones: F32, floor: float, x: float, y: float, z: float) -> float:
    """The melted union, cut off flat at the floor so that hooves and soles stand."""
    d = OUTSIDE
    for i in range(len(cones)):
        c, k = _cone(cones[i], x, y, z), cones[i, 9]
        h = max(k - abs(d - c), 0.0) / k
        d = min(d, c) - h * h * k * 0.25
    return float(max(d, floor - z))


@njit(parallel=True, fastmath=True, cache=True)
def _sample(cones: F32, floor: float, low: F32, shape: tuple[int, int, int], step: float) -> F32:
    """The field at the grid's nodes; blocks far from the surface keep the value at their centre."""
    field = np.empty(shape, np.float32)
    for bi in prange((shape[0] + COARSE - 1) // COARSE):
        i0, i1 = bi * COARSE, min(bi * COARSE + COARSE, shape[0])
        for j0 in range(0, shape[1], COARSE):
            for k0 in range(0, shape[2], COARSE):
                x, y, z = low[0] + (i0 + 2) * step, low[1] + (j0 + 2) * step, low[2] + (k0 + 2) * step
                middle = _depth(cones, floor, x, y, z)
                near = abs(middle) < 3.0 * COARSE * step
                for i in range(i0, i1):
                    for j in range(j0, min(j0 + COARSE, shape[1])):
                        for k in range(k0, min(k0 + COARSE, shape[2])):
                            field[i, j, k] = middle
                            if near:
                                x, y, z = low[0] + i * step, low[1] + j * step, low[2] + k * step
                                field[i, j, k] = _depth(cones, floor, x, y, z)
    return field


@njit(parallel=True, fastmath=True, cache=True)
def _settle(cones: F32, floor: float, points: F32, rounds: int) -> F32:
    """The points moved onto the surface along the field's slope; returns the unit normals."""
    normals = np.empty_like(points)
    e = 1.5e-3
    for n in prange(len(points)):
        for _ in range(rounds):
            x, y, z = points[n]
            d = _depth(cones, floor, x, y, z)
            gx = _depth(cones, floor, x + e, y, z) - _depth(cones, floor, x - e, y, z)
            gy = _depth(cones, floor, x, y + e, z) - _depth(cones, floor, x, y - e, z)
            gz = _depth(cones, floor, x, y, z + e) - _depth(cones, floor, x, y, z - e)
            size = np.sqrt(gx * gx + gy * gy + gz * gz) + 1e-12
            move = min(max(d * 2 * e / size, -0.01), 0.01)
            points[n, 0] -= move * gx / size
            points[n, 1] -= move * gy / size
            points[n, 2] -= move * gz / size
            normals[n, 0], normals[n, 1], normals[n, 2] = gx / size, gy / size, gz / size
    return normals


@njit(parallel=True, fastmath=True, cache=True)
def _depths(cones: F32, points: F32) -> F32:
    out = np.empty((len(points), len(cones)), np.float32)
    for n in prange(len(points)):
        for i in range(len(cones)):
            out[n, i] = _cone(cones[i], points[n, 0], points[n, 1], points[n, 2])
    return out


def cone_depths(cones: Sequence[Cone], points: F32) -> F32:
    """(N, C) the distance of every point to every cone, in m, negative inside."""
    return _depths(packed(cones), points)


def mesh(cones: Sequence[Cone], grid_m: float = GRID_M, floor_m: float = 0.0) -> tuple[F32, F32, I32]:
    """The melted surface: (V, 3) vertices in m, normals, and (T, 3) triangles, counter-clockwise from outside."""
    table = packed(cones)
    reach = np.maximum(table[:, 6:8].max(axis=1) * np.maximum(table[:, 8], 1), 0)[:, None] + 3 * grid_m
    ends = table[:, :6].reshape(-1, 2, 3)
    low = (ends.min(axis=1) - reach).min(axis=0).astype(np.float32)
    high = (ends.max(axis=1) + reach).max(axis=0)
    nx, ny, nz = (int(n) for n in np.ceil((high - low) / grid_m) + 1)
    field = _sample(table, floor_m, low, (nx, ny, nz), grid_m)
    points, triangles = _nets(field)
    vertices = (low + points * np.float32(grid_m)).astype(np.float32)
    return vertices, _settle(table, floor_m, vertices, 3), triangles


def _nets(field: F32) -> tuple[F32, I32]:
    """Surface nets: a vertex per cell the surface crosses, a quad per grid edge it crosses.

    Source: S. F. F. Gibson, "Constrained elastic surface nets", 1998.
    """
    inside = field < 0
    corners = [inside[i : i - 1 or None, j : j - 1 or None, k : k - 1 or None] for i, j, k in np.ndindex(2, 2, 2)]
    count = np.sum(corners, axis=0, dtype=np.int8)
    cells = np.argwhere((count > 0) & (count < 8))
    number = np.full(count.shape, -1, np.int32)
    number[tuple(cells.T)] = np.arange(len(cells))
    return _crossings(field, cells), np.concatenate([_quads(inside, number, axis) for axis in range(3)])


def _crossings(field: F32, cells: np.ndarray) -> F32:
    """The mean of the points where the surface crosses each cell's edges, in grid units."""
    total, hits = np.zeros((len(cells), 3), np.float32), np.zeros(len(cells), np.float32)
    for axis in range(3):
        for u, v in np.ndindex(2, 2):
            start = np.insert(np.array([u, v]), axis, 0)
            a = field[tuple((cells + start).T)]
            b = field[tuple((cells + start + np.eye(3, dtype=int)[axis]).T)]
            cross = (a < 0) != (b < 0)
            at = np.repeat(start[None].astype(np.float32), len(cells), axis=0)
            at[:, axis] = a / np.where(cross, a - b, 1)
            total += at * cross[:, None]
            hits += cross
    return (cells + total / np.maximum(hits, 1)[:, None]).astype(np.float32)


def _quads(inside: np.ndarray, number: I32, axis: int) -> I32:
    """Two triangles around every grid edge along `axis` that enters or leaves the body."""
    a, b = np.moveaxis(inside, axis, 0)[:-1], np.moveaxis(inside, axis, 0)[1:]
    cells = np.moveaxis(number, axis, 0)
    crossed = (a != b)[:, 1:-1, 1:-1]
    i, j, k = np.nonzero(crossed)
    around = np.stack([cells[i, j, k], cells[i, j + 1, k], cells[i, j + 1, k + 1], cells[i, j, k + 1]], axis=1)
    turned = a[:, 1:-1, 1:-1][crossed] ^ (axis == 1)
    around[~turned] = around[~turned][:, ::-1]
    return np.concatenate([around[:, [0, 1, 2]], around[:, [0, 2, 3]]]).astype(np.int32)


def push_out(cones: Sequence[Cone], points: F64, clear_m: F64) -> F64:
    """Points that lie in the flesh or nearer to it than `clear_m`, moved out."""
    moved = np.ascontiguousarray(points, np.float32)
    _clear(packed(cones), moved, np.ascontiguousarray(clear_m, np.float32))
    return moved.astype(np.float64)


@njit(fastmath=True, cache=True)
def _clear(cones: F32, points: F32, clear_m: F32) -> None:
    e = 2e-3
    for n in range(len(points)):
        for _ in range(4):
            x, y, z = points[n]
            short = clear_m[n] - _depth(cones, -9.0, x, y, z)
            if short <= 0:
                break
            gx = _depth(cones, -9.0, x + e, y, z) - _depth(cones, -9.0, x - e, y, z)
            gy = _depth(cones, -9.0, x, y + e, z) - _depth(cones, -9.0, x, y - e, z)
            gz = _depth(cones, -9.0, x, y, z + e) - _depth(cones, -9.0, x, y, z - e)
            size = np.sqrt(gx * gx + gy * gy + gz * gz) + 1e-9
            points[n, 0] += short * gx / size
            points[n, 1] += short * gy / size
            points[n, 2] += short * gz / size
