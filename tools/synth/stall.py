"""A box stall: boards, straw, a sliding door with bars, a bucket, a hay net, a feeder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tools.synth import geometry, ground
from tools.synth.geometry import RGB, Mesh, Stuff, ball, box, linear, panel, tube
from tools.synth.shade import Light
from tools.synth.stage import Place

WALL_M = 1.35  # boards up to here, bars or boards above
DOOR_M = 1.25  # width of the gap in the front


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """Measures in m; the corner between back and left wall is at (0, size_y), the front at y = 0."""

    size_x: float = 3.8
    size_y: float = 3.6
    height: float = 2.7
    wood: RGB = (150, 108, 70)
    plaster: RGB = (196, 188, 172)
    boarded: bool = True  # up to the ceiling; else plaster above the boards
    bedding: str = "straw"
    front: bool = False  # the front wall stands; else the camera looks in through where it would be
    net: bool = True
    seed: int = 0


def build(stall: Stall, light: Light) -> Place:
    parts = [_floor(stall), *_walls(stall)]
    casters = [*_things(stall), *(_front(stall) if stall.front else [])]
    return Place(
        mesh=geometry.joined([*parts, *casters]),
        casters=geometry.joined(casters),
        light=light,
        pictures=ground.picture(stall.bedding, stall.seed % 6),
        sky=(linear((40, 36, 32)), linear((60, 56, 52))),
        centre=(stall.size_x / 2, stall.size_y / 2, 0.7),
        reach_m=max(stall.size_x, stall.size_y) * 0.95,
    )


def _floor(stall: Stall) -> Mesh:
    """Bedding, banked up at the walls, and the aisle's concrete before the front."""
    n = 40
    x, y = np.meshgrid(np.linspace(0, stall.size_x, n), np.linspace(0, stall.size_y, n), indexing="ij")
    wall = np.minimum(np.minimum(x, stall.size_x - x), stall.size_y - y)
    rng = np.random.default_rng([3, stall.seed])
    lumps = rng.normal(0, 0.012, (n, n))
    z = 0.22 * np.clip(1 - wall / 0.45, 0, 1) ** 2 + lumps * (wall < 0.6) - 0.004
    tone = {"straw": (178, 148, 88), "sand": (150, 126, 92)}[stall.bedding]
    bedding = sheet(x, y, z, tone)
    aisle = panel((-6, -7, -0.03), (stall.size_x + 12, 0, 0), (0, 7, 0), Stuff.PLASTER, (120, 116, 110))
    return geometry.joined([bedding, aisle])


def sheet(x: np.ndarray, y: np.ndarray, z: np.ndarray, rgb: RGB) -> Mesh:
    """A height field as ground."""
    step_x, step_y = np.gradient(x, axis=0), np.gradient(y, axis=1)
    normals = np.stack([-np.gradient(z, axis=0) / step_x, -np.gradient(z, axis=1) / step_y, np.ones_like(z)], axis=-1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    n, m = z.shape
    i, j = np.meshgrid(np.arange(n - 1), np.arange(m - 1), indexing="ij")
    a = (i * m + j).reshape(-1)
    triangles = np.concatenate([np.stack([a, a + m, a + m + 1], -1), np.stack([a, a + m + 1, a + 1], -1)])
    vertices = np.stack([x, y, z], axis=-1).reshape(-1, 3).astype(np.float32)
    return geometry.of(vertices, normals.reshape(-1, 3), triangles.astype(np.int32), Stuff.GROUND, linear(rgb))


def _walls(stall: Stall) -> list[Mesh]:
    x, y, h = stall.size_x, stall.size_y, stall.height
    top = Stuff.PLANKS if stall.boarded else Stuff.PLASTER
    tone = stall.wood if stall.boarded else stall.plaster
    parts = []
    for low, high, stuff, rgb in ((0.0, WALL_M, Stuff.PLANKS, stall.wood), (WALL_M, h, top, tone)):
        up = (0, 0, high - low)
        parts.append(panel((x, y, low), (-x, 0, 0), up, stuff, rgb))
        parts.append(panel((0, y, low), (0, -y, 0), up, stuff, rgb))
        parts.append(panel((x, 0, low), (0, y, 0), up, stuff, rgb))
    dark = _shade(stall.wood, 0.6)
    parts += [box((0, y - 0.05, WALL_M - 0.04), (x, y, WALL_M + 0.04), Stuff.PLANKS, dark)]
    parts += [box((0, 0, WALL_M - 0.04), (0.05, y, WALL_M + 0.04), Stuff.PLANKS, dark)]
    parts += [box((x - 0.05, 0, WALL_M - 0.04), (x, y, WALL_M + 0.04), Stuff.PLANKS, dark)]
    beams = [box((bx, 0, h - 0.2), (bx + 0.14, y, h), Stuff.PLANKS, dark) for bx in np.arange(0.3, x, 1.1)]
    ceiling = panel((0, 0, h), (0, y, 0), (x, 0, 0), Stuff.PLANKS, _shade(stall.wood, 0.75))
    return [*parts, *beams, ceiling]


def _shade(rgb: RGB, by: float) -> RGB:
    return (rgb[0] * by, rgb[1] * by, rgb[2] * by)


def _things(stall: Stall) -> list[Mesh]:
    rng = np.random.default_rng([5, stall.seed])
    colour = ((42, 78, 150), (150, 36, 34), (40, 44, 48), (30, 110, 70))[int(rng.integers(4))]
    left = rng.random() < 0.5
    near = 0.25 if left else stall.size_x - 0.25
    far = stall.size_x - 0.35 if left else 0.35
    parts = [*bucket((near, stall.size_y - 0.28, 0.75), colour), *_feeder(stall, far)]
    if stall.net:
        parts += _hay_net((stall.size_x * rng.uniform(0.35, 0.65), stall.size_y - 0.24, 1.25), rng)
    if rng.random() < 0.6:
        parts += _heap((far, stall.size_y * rng.uniform(0.45, 0.7)), rng)
    return parts


def bucket(at: tuple[float, float, float], rgb: RGB) -> list[Mesh]:
    """With water and a handle; `at` is the middle of its bottom."""
    x, y, z = at
    wall = tube(np.array([[x, y, z], [x, y, z + 0.3]]), (0.13, 0.165), Stuff.PLASTIC, rgb, 18, closed=False)
    bottom = tube(np.array([[x, y, z], [x, y, z + 0.01]]), (0.13, 0.13), Stuff.PLASTIC, rgb, 18)
    water = tube(np.array([[x, y, z + 0.2], [x, y, z + 0.22]]), (0.148, 0.149), Stuff.EYE, (40, 52, 56), 18)
    angle = np.linspace(0, np.pi, 9)
    arc = np.stack([x + 0.165 * np.cos(angle), np.full(9, y), z + 0.3 + 0.12 * np.sin(angle)], axis=1)
    return [wall, bottom, water, tube(arc, [0.006] * 9, Stuff.METAL, (170, 170, 170), 6)]


def _feeder(stall: Stall, x: float) -> list[Mesh]:
    y, z = stall.size_y, 0.62
    rgb = _shade(stall.wood, 0.8)
    sides = [((x - 0.3, y - 0.42, z), (x + 0.3, y - 0.38, z + 0.28)), ((x - 0.3, y - 0.42, z), (x - 0.26, y, z + 0.28))]
    sides += [((x + 0.26, y - 0.42, z), (x + 0.3, y, z + 0.28)), ((x - 0.3, y - 0.42, z), (x + 0.3, y, z + 0.05))]
    return [box(low, high, Stuff.PLANKS, rgb) for low, high in sides]


def _hay_net(at: tuple[float, float, float], rng: np.random.Generator) -> list[Mesh]:
    """A stuffed net: a lump of hay with knots of cord, hung from a ring."""
    x, y, z = at
    lump = ball(at, (0.24, 0.2, 0.33), Stuff.HAY, (150, 142, 82), 9)
    directions = rng.normal(0, 1, (130, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    roots = np.array(at) + directions * [0.235, 0.195, 0.325]
    tips = roots + directions * 0.05 + rng.normal(0, 0.05, (130, 3)) - [0, 0, 0.04]
    paths = np.stack([roots, (roots + tips) / 2 + [0, 0, 0.01], tips], axis=1)
    across = np.cross(directions, rng.normal(0, 1, (130, 3)))
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    tones = linear((176, 164, 96))[None] * rng.uniform(0.5, 1.3, (130, 1)).astype(np.float32)
    wisps = geometry.ribbons(paths, across, 0.014, Stuff.HAY, tones)
    cord = tube(np.array([[x, y, z + 0.3], [x, y + 0.2, z + 0.75]]), (0.012, 0.012), Stuff.CLOTH, (60, 70, 110), 6)
    return [lump, wisps, cord]


def _heap(at: tuple[float, float], rng: np.random.Generator) -> list[Mesh]:
    """Hay on the floor."""
    x, y = at
    mound = ball((x, y, 0.0), (0.42, 0.36, 0.14), Stuff.HAY, (138, 130, 74), 9)
    n = 160
    roots = np.array([x, y, 0.09]) + rng.normal(0, 1, (n, 3)) * [0.25, 0.22, 0.02]
    step = rng.normal(0, 0.09, (n, 3)) * [1, 1, 0.25]
    paths = np.stack([roots - step, np.add(roots, [0, 0, 0.03]), roots + step], axis=1)
    across = np.cross(step, [0, 0, 1.0])
    across /= np.linalg.norm(across, axis=1, keepdims=True) + 1e-9
    tones = linear((172, 160, 92))[None] * rng.uniform(0.5, 1.3, (n, 1)).astype(np.float32)
    return [mound, geometry.ribbons(paths, across, 0.012, Stuff.HAY, tones)]


def _front(stall: Stall) -> list[Mesh]:
    """Boards below, bars above, a gap for the door."""
    x0, x1 = stall.size_x * 0.55, stall.size_x * 0.55 + DOOR_M
    parts, steel = [], (92, 96, 100)
    for a, b in ((0.0, x0), (x1, stall.size_x)):
        parts.append(box((a, -0.06, 0), (b, 0.0, WALL_M), Stuff.PLANKS, stall.wood))
        parts.append(box((a, -0.07, 2.2), (b, 0.01, 2.26), Stuff.METAL, steel))
        parts.append(box((a, -0.08, WALL_M), (b, 0.02, WALL_M + 0.05), Stuff.METAL, steel))
        for x in np.arange(a + 0.08, b, 0.11):
            pole = np.array([[x, -0.03, WALL_M], [x, -0.03, 2.2]])
            parts.append(tube(pole, (0.011, 0.011), Stuff.METAL, steel, 6, closed=False))
    return parts
