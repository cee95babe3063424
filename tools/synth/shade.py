"""Light on surfaces: per pixel, from what is nearest there.

Every pixel gets two parts: what the sky, the ground and a lamp at the camera give, and what the sun would give.
`compose` puts them together under the shadows of the moment, so that a still place is shaded once for a whole clip.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numba import njit, prange

from tools.synth.geometry import BOARDS, PICTURE, Mesh
from tools.synth.types import F32, I32, U8

Vector: TypeAlias = tuple[float, float, float]
TILE_M = 2.4  # side of the ground picture


class Eye(NamedTuple):
    """The camera: rays are `rays @ (x, y, 1)` from `at`, so that a pixel's point is at + ray / w."""

    at: F32  # (3,)
    rays: F32  # (3, 3)


class Light(NamedTuple):
    """Directions point to the light; colours are linear RGB."""

    sun_to: F32
    sun: F32
    sky: F32
    ground: F32
    lamp_at: F32
    lamp: F32  # at 1 m
    haze: F32  # rgb, share per m


@njit(fastmath=True, cache=True, inline="always")
def _hash(i: int, j: int, k: int) -> float:
    n = (i * 374761393 + j * 668265263 + k * 1274126177) & 0xFFFFFFFF
    n = ((n ^ (n >> 13)) * 1274126177) & 0xFFFFFFFF
    return ((n ^ (n >> 16)) & 0xFFFF) / 65535.0


@njit(fastmath=True, cache=True)
def noise(x: float, y: float, z: float) -> float:
    """Smooth noise in [0, 1], one lump per unit."""
    i, j, k = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
    u, v, w = x - i, y - j, z - k
    u, v, w = u * u * (3 - 2 * u), v * v * (3 - 2 * v), w * w * (3 - 2 * w)
    a = _hash(i, j, k) * (1 - u) + _hash(i + 1, j, k) * u
    b = _hash(i, j + 1, k) * (1 - u) + _hash(i + 1, j + 1, k) * u
    c = _hash(i, j, k + 1) * (1 - u) + _hash(i + 1, j, k + 1) * u
    d = _hash(i, j + 1, k + 1) * (1 - u) + _hash(i + 1, j + 1, k + 1) * u
    return (a * (1 - v) + b * v) * (1 - w) + (c * (1 - v) + d * v) * w


@njit(fastmath=True, cache=True)
def _board(rest: Vector, far: float) -> float:
    """Planks 0.14 m wide: a dark seam, a tone of its own, knots by noise; seams soften with distance."""
    row = rest[1] / 0.14
    number = int(np.floor(row))
    edge = min(row - number, 1 - (row - number)) * 0.14
    seam = 1.0 - 0.75 * max(0.0, 1.0 - edge / (0.005 + 0.0012 * far)) / (1 + 0.12 * far)
    tone = 0.72 + 0.5 * _hash(number, 17, int(rest[2] * 10))
    wave = noise(rest[0] * 0.9, number * 3.1 + rest[1] * 2, rest[2])
    return float(seam * tone * (0.75 + 0.45 * wave))


@njit(fastmath=True, cache=True)
def _texel(pictures: F32, level: int, x: float, y: float, c: int) -> float:
    """One colour of one level, between its four nearest texels."""
    size = pictures.shape[1]
    i, j = int(np.floor(x)), int(np.floor(y))
    u, v = x - i, y - j
    i0, i1, j0, j1 = i % size, (i + 1) % size, j % size, (j + 1) % size
    top = pictures[level, j0, i0, c] * (1 - u) + pictures[level, j0, i1, c] * u
    low = pictures[level, j1, i0, c] * (1 - u) + pictures[level, j1, i1, c] * u
    return float(top * (1 - v) + low * v)


@njit(fastmath=True, cache=True)
def _picture(pictures: F32, rest: Vector, far: float) -> Vector:
    """The tiled ground picture, coarser where it is far away."""
    level = min(max(np.log2(max(far, 1e-3) / 2.5), 0.0), len(pictures) - 1.001)
    low, size = int(level), pictures.shape[1] / TILE_M
    x, y, t = rest[0] * size, rest[1] * size, level - int(level)
    r = _texel(pictures, low, x, y, 0) * (1 - t) + _texel(pictures, low + 1, x, y, 0) * t
    g = _texel(pictures, low, x, y, 1) * (1 - t) + _texel(pictures, low + 1, x, y, 1) * t
    b = _texel(pictures, low, x, y, 2) * (1 - t) + _texel(pictures, low + 1, x, y, 2) * t
    return r, g, b


@njit(fastmath=True, cache=True)
def _weights(vertices: F32, i: int, j: int, k: int, p: Vector) -> Vector:
    """Barycentric coordinates of a point in a triangle's plane, seen along the axis the plane faces most."""
    ux, uy, uz = vertices[j, 0] - vertices[i, 0], vertices[j, 1] - vertices[i, 1], vertices[j, 2] - vertices[i, 2]
    vx, vy, vz = vertices[k, 0] - vertices[i, 0], vertices[k, 1] - vertices[i, 1], vertices[k, 2] - vertices[i, 2]
    px, py, pz = p[0] - vertices[i, 0], p[1] - vertices[i, 1], p[2] - vertices[i, 2]
    nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
    if abs(nx) >= abs(ny) and abs(nx) >= abs(nz):
        area, b, c = nx, py * vz - pz * vy, uy * pz - uz * py
    elif abs(ny) >= abs(nz):
        area, b, c = ny, pz * vx - px * vz, uz * px - ux * pz
    else:
        area, b, c = nz, px * vy - py * vx, ux * py - uy * px
    area = area if abs(area) > 1e-14 else 1e-14
    b, c = min(max(b / area, 0.0), 1.0), min(max(c / area, 0.0), 1.0)
    return max(1.0 - b - c, 0.0), b, c


@njit(fastmath=True, cache=True)
def _mixed(values: F32, i: int, j: int, k: int, m: Vector) -> Vector:
    return (
        values[i, 0] * m[0] + values[j, 0] * m[1] + values[k, 0] * m[2],
        values[i, 1] * m[0] + values[j, 1] * m[1] + values[k, 1] * m[2],
        values[i, 2] * m[0] + values[j, 2] * m[1] + values[k, 2] * m[2],
    )


@njit(fastmath=True, cache=True)
def _albedo(paint: Vector, rest: Vector, looks: F32, stuff: int, pictures: F32, far: float) -> Vector:
    x, y, z = rest[0] * looks[stuff, 0], rest[1] * looks[stuff, 1], rest[2] * looks[stuff, 2]
    shade = 1.0 + looks[stuff, 3] * (1.3 * noise(x, y, z) + 0.7 * noise(2.7 * x, 2.7 * y, 2.7 * z) - 1.0)
    if looks[stuff, 6] == BOARDS:
        shade *= _board(rest, far)
    if looks[stuff, 6] == PICTURE:
        r, g, b = _picture(pictures, rest, far)
        return paint[0] * r * shade, paint[1] * g * shade, paint[2] * b * shade
    return paint[0] * shade, paint[1] * shade, paint[2] * shade


CHUNK = 2048  # pixels a thread takes at a time


@njit(parallel=True, fastmath=True, cache=True)
def shade(
    pixels: I32,
    layer: tuple[F32, I32],
    mesh: Mesh,
    looks: F32,
    pictures: F32,
    eye: Eye,
    light: Light,
    parts: tuple[F32, F32],
) -> None:
    """Writes both parts of the light at the given pixels (flat numbers) of a layer that shows `mesh`."""
    w, triangle = layer
    width = w.shape[1]
    for chunk in prange((len(pixels) + CHUNK - 1) // CHUNK):
        for n in range(chunk * CHUNK, min((chunk + 1) * CHUNK, len(pixels))):
            y, x = pixels[n] // width, pixels[n] % width
            _shade_one(x, y, w[y, x], triangle[y, x], mesh, looks, pictures, eye, light, parts)


@njit(fastmath=True, cache=True, inline="always")
def _ray(rays: F32, x: float, y: float) -> Vector:
    return (
        rays[0, 0] * x + rays[0, 1] * y + rays[0, 2],
        rays[1, 0] * x + rays[1, 1] * y + rays[1, 2],
        rays[2, 0] * x + rays[2, 1] * y + rays[2, 2],
    )


@njit(fastmath=True, cache=True, inline="always")
def _dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@njit(fastmath=True, cache=True)
def _shade_one(
    x: int,
    y: int,
    w: float,
    t: int,
    mesh: Mesh,
    looks: F32,
    pictures: F32,
    eye: Eye,
    light: Light,
    parts: tuple[F32, F32],
) -> None:
    i, j, k, stuff = mesh.triangles[t, 0], mesh.triangles[t, 1], mesh.triangles[t, 2], mesh.stuff[t]
    ray = _ray(eye.rays, x + 0.5, y + 0.5)
    point = (eye.at[0] + ray[0] / w, eye.at[1] + ray[1] / w, eye.at[2] + ray[2] / w)
    size = np.sqrt(_dot(ray, ray))
    weights = _weights(mesh.vertices, i, j, k, point)
    paint, rest = _mixed(mesh.paint, i, j, k, weights), _mixed(mesh.rest, i, j, k, weights)
    albedo = _albedo(paint, rest, looks, stuff, pictures, size / w)
    n = _mixed(mesh.normals, i, j, k, weights)
    unit = (-1.0 if _dot(n, ray) > 0 else 1.0) / (np.sqrt(_dot(n, n)) + 1e-9)
    normal, to_eye = (n[0] * unit, n[1] * unit, n[2] * unit), (-ray[0] / size, -ray[1] / size, -ray[2] / size)
    _lit(x, y, albedo, normal, to_eye, point, (looks[stuff, 4], looks[stuff, 5]), light, parts)


@njit(fastmath=True, cache=True)
def _lit(
    x: int,
    y: int,
    albedo: Vector,
    normal: Vector,
    to_eye: Vector,
    point: Vector,
    gloss: tuple[float, float],
    light: Light,
    parts: tuple[F32, F32],
) -> None:
    """Writes the two parts of one pixel's light."""
    soft, sunny = parts
    up = 0.5 + 0.5 * normal[2]
    lamp = (light.lamp_at[0] - point[0], light.lamp_at[1] - point[1], light.lamp_at[2] - point[2])
    reach = _dot(lamp, lamp) + 0.05
    facing = max(_dot(normal, lamp) / np.sqrt(reach), 0.0) / reach
    sun_to = (light.sun_to[0], light.sun_to[1], light.sun_to[2])
    towards = max(_dot(normal, sun_to), 0.0)
    half = (sun_to[0] + to_eye[0], sun_to[1] + to_eye[1], sun_to[2] + to_eye[2])
    glint = 0.5 * gloss[0] * max(_dot(normal, half) / (np.sqrt(_dot(half, half)) + 1e-6), 0.0) ** gloss[1]
    glint *= min(towards * 4, 1.0)
    back = 0.3 * gloss[0] * max(_dot(normal, to_eye), 0.0) ** gloss[1]
    for c in range(3):
        ambient = light.ground[c] * (1 - up) + light.sky[c] * up
        soft[y, x, c] = albedo[c] * (ambient + light.lamp[c] * facing) + light.lamp[c] / reach * back
        sunny[y, x, c] = (albedo[c] * towards + glint) * light.sun[c]


class Shadows(NamedTuple):
    """The light's own view of what casts, and how much of the sky the subjects take from the floor."""

    frame: F32  # (3, 4) world to light
    lens: F32  # scale and middle, px
    w: F32  # (S, S)
    cover: F32  # (C, C) share of the sky that is hidden, seen from above
    cover_lens: F32  # scale and middle, px


@njit(fastmath=True, cache=True)
def _sunlit(p: Vector, s: Shadows) -> float:
    """How much of the sun reaches a point, averaged over 3 x 3 texels."""
    f = s.frame
    x = (f[0, 0] * p[0] + f[0, 1] * p[1] + f[0, 2] * p[2] + f[0, 3]) * s.lens[0] + s.lens[2]
    y = (f[1, 0] * p[0] + f[1, 1] * p[1] + f[1, 2] * p[2] + f[1, 3]) * s.lens[1] + s.lens[3]
    z = f[2, 0] * p[0] + f[2, 1] * p[1] + f[2, 2] * p[2] + f[2, 3] - 0.025
    i, j = int(np.floor(x - 0.5)), int(np.floor(y - 0.5))
    size = s.w.shape[0]
    if i < 1 or j < 1 or i >= size - 2 or j >= size - 2:
        return 1.0
    u, v, total = x - 0.5 - i, y - 0.5 - j, 0.0
    for b in range(-1, 3):
        fy = 1 - v if b == -1 else (v if b == 2 else 1.0)
        for a in range(-1, 3):
            fx = 1 - u if a == -1 else (u if a == 2 else 1.0)
            if s.w[j + b, i + a] <= -z:
                total += fx * fy
    return total / 9.0


@njit(fastmath=True, cache=True)
def _open_sky(p: Vector, s: Shadows) -> float:
    """How much of the sky a low point sees past the subjects above it."""
    if p[2] > 0.5:
        return 1.0
    x, y = p[0] * s.cover_lens[0] + s.cover_lens[2], p[1] * s.cover_lens[1] + s.cover_lens[3]
    i, j = int(np.floor(x)), int(np.floor(y))
    size = s.cover.shape[0]
    if i < 0 or j < 0 or i >= size - 1 or j >= size - 1:
        return 1.0
    u, v = x - i, y - j
    top = s.cover[j, i] * (1 - u) + s.cover[j, i + 1] * u
    low = s.cover[j + 1, i] * (1 - u) + s.cover[j + 1, i + 1] * u
    return float(1.0 - (top * (1 - v) + low * v) * (1 - 2 * max(p[2], 0.0)))


@njit(parallel=True, fastmath=True, cache=True)
def compose(w: F32, soft: F32, sunny: F32, eye: Eye, shadows: Shadows, haze: F32, tones: U8, out: U8) -> None:
    """The picture, BGR, through a table of tones (16 bit light to 8 bit)."""
    height, width = w.shape
    for y in prange(height):
        for x in range(width):
            lit, open_sky, clear = 1.0, 1.0, 1.0
            if w[y, x] > 0:
                ray = _ray(eye.rays, x + 0.5, y + 0.5)
                point = (eye.at[0] + ray[0] / w[y, x], eye.at[1] + ray[1] / w[y, x], eye.at[2] + ray[2] / w[y, x])
                if sunny[y, x, 0] + sunny[y, x, 1] > 1e-4:
                    lit = _sunlit(point, shadows)
                open_sky = _open_sky(point, shadows)
                if haze[3] > 0:
                    clear = np.exp(-haze[3] * np.sqrt(_dot(ray, ray)) / w[y, x])
            for c in range(3):
                value = (soft[y, x, c] * open_sky + sunny[y, x, c] * lit) * clear + haze[c] * (1 - clear)
                out[y, x, 2 - c] = tones[min(max(int(value * 16384.0), 0), 65535)]


@njit(parallel=True, fastmath=True, cache=True)
def lumps(points: F32, per_m: float, seed: float) -> F32:
    """(N,) smooth noise in [0, 1] at points of space."""
    out = np.empty(len(points), np.float32)
    for n in prange(len(points)):
        x, y, z = points[n, 0] * per_m + seed, points[n, 1] * per_m - seed, points[n, 2] * per_m + 3 * seed
        out[n] = 0.7 * noise(x, y, z) + 0.3 * noise(2.1 * x, 2.1 * y, 2.1 * z)
    return out
