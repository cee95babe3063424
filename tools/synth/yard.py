"""A yard or paddock: ground, a rail fence, trees, a barn wall, the sky."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tools.synth import geometry, ground
from tools.synth.geometry import RGB, Mesh, Stuff, ball, box, linear, panel, tube
from tools.synth.shade import Light
from tools.synth.stage import Place
from tools.synth.stall import sheet
from tools.synth.types import Numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Yard:
    """Centred on (0, 0); measures in m."""

    kind: str = "grass"  # or "sand", "concrete"
    fence_m: float | None = 6.0  # its distance behind the middle
    rails: RGB = (222, 218, 208)
    barn: bool = False
    trees: int = 14
    overcast: bool = False
    seed: int = 0


TONES: dict[str, RGB] = {"grass": (104, 128, 70), "sand": (178, 160, 128), "concrete": (150, 148, 142)}


def build(yard: Yard, light: Light) -> Place:
    rng = np.random.default_rng([17, yard.seed])
    parts = [_field(yard, rng)]
    casters = [*_fence(yard), *(_barn(rng) if yard.barn else [])]
    trees = [tree for _ in range(yard.trees) for tree in _tree(_somewhere(rng), rng)]
    bank = [_hedge(rng)] if rng.random() < 0.8 else []
    horizon, overhead = ((225, 228, 230), (188, 196, 204)) if yard.overcast else ((214, 226, 236), (104, 152, 214))
    return Place(
        mesh=geometry.joined([*parts, *casters, *trees, *bank]),
        casters=geometry.joined(casters) if casters else None,
        light=light,
        pictures=ground.picture(yard.kind, yard.seed % 6),
        sky=(linear(horizon), linear(overhead)),
        centre=(0.0, 0.0, 0.7),
        reach_m=4.5,
    )


def _somewhere(rng: np.random.Generator) -> tuple[float, float]:
    """Far enough away to be background."""
    angle, far = rng.uniform(0, 2 * np.pi), rng.uniform(16, 55)
    return float(far * np.cos(angle)), float(far * np.sin(angle))


def _field(yard: Yard, rng: np.random.Generator) -> Mesh:
    spread = np.sinh(np.linspace(-4.2, 4.2, 41)) / np.sinh(4.2) * 140
    x, y = np.meshgrid(spread, spread, indexing="ij")
    far = np.hypot(x, y)
    z = np.clip((far - 8) / 60, 0, 1) * rng.normal(0, 0.6) * np.sin(x / 31 + rng.uniform(0, 6)) + 0.0 * y
    return sheet(x, y, z, TONES[yard.kind])


def _fence(yard: Yard) -> list[Mesh]:
    if yard.fence_m is None:
        return []
    parts, y = [], yard.fence_m
    for x in np.arange(-14, 14.1, 2.4):
        parts.append(box((x - 0.06, y - 0.06, 0), (x + 0.06, y + 0.06, 1.35), Stuff.PLANKS, yard.rails))
    for z in (0.45, 0.85, 1.22):
        parts.append(box((-14, y - 0.09, z - 0.06), (14, y - 0.05, z + 0.06), Stuff.PLANKS, yard.rails))
    return parts


def _tree(at: tuple[float, float], rng: np.random.Generator) -> list[Mesh]:
    """A trunk and a crown of leaf clumps."""
    (x, y), high = at, float(rng.uniform(5, 11))
    trunk = tube(np.array([[x, y, -0.3], [x, y, 0.5 * high]]), (0.28, 0.18), Stuff.HAIR, (84, 70, 56), 8)
    tone = np.array((70, 96, 46)) * rng.uniform(0.7, 1.25) + rng.normal(0, 6, 3)
    n = 1100
    shell = rng.normal(0, 1, (n, 3))
    shell *= (rng.random((n, 1)) ** 0.3) / np.linalg.norm(shell, axis=1, keepdims=True)
    middle = np.array([x, y, 0.68 * high])
    return [trunk, _leaves(middle + shell * [0.3 * high, 0.3 * high, 0.36 * high], shell, 0.042 * high, tone, rng)]


def _leaves(at: Numbers, out: Numbers, size: float, tone: Numbers, rng: np.random.Generator) -> Mesh:
    """Ragged clumps, lit as the crown's surface is."""
    n = len(at)
    u, v = (rng.normal(0, 1, (n, 3)) for _ in range(2))
    corners = np.stack([at + u * size * 0.6, at + v * size * 0.6, at - (u + v) * size * 0.45], axis=1)
    normals = np.repeat(out / (np.linalg.norm(out, axis=1, keepdims=True) + 1e-9), 3, axis=0)
    shade = rng.uniform(0.45, 1.3, (n, 1)) * np.clip(0.75 + 0.5 * out[:, 2:], 0.35, 1.3)
    paint = np.repeat(linear(np.clip(tone, 5, 250)) * shade, 3, axis=0)
    triangles = np.arange(3 * n).reshape(-1, 3).astype(np.int32)
    return geometry.of(corners.reshape(-1, 3), normals, triangles, Stuff.LEAF, paint.astype(np.float32))


def _hedge(rng: np.random.Generator) -> Mesh:
    """A line of wood at the horizon: leaves before a dark that no sky shines through."""
    n, tone = 9000, np.array((62, 84, 48))
    angle, phase = rng.uniform(0, 2 * np.pi, n), rng.uniform(0, 6)
    at = np.stack([67 * np.cos(angle), 67 * np.sin(angle), _skyline(angle, phase) * rng.random(n) ** 0.6], axis=1)
    out = np.stack([-np.cos(angle), -np.sin(angle), 0.6 + 0.1 * at[:, 2]], axis=1)
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    round_ = np.linspace(0, 2 * np.pi, 121)
    foot = np.stack([68 * np.cos(round_), 68 * np.sin(round_), np.full(121, -2.0)], axis=1)
    top = foot + np.stack([0 * round_, 0 * round_, 1.8 + 0.92 * _skyline(round_, phase)], axis=1)
    a = np.arange(120)
    quads = np.concatenate([np.stack([a, a + 1, a + 122], -1), np.stack([a, a + 122, a + 121], -1)]).astype(np.int32)
    inward = np.tile(-foot / 68 * [1, 1, 0] + [0, 0, 0.5], (2, 1))
    dark = geometry.of(np.concatenate([foot, top]), inward, quads, Stuff.LEAF, linear(0.8 * tone))
    return geometry.joined([dark, _leaves(at + rng.normal(0, 0.8, (n, 3)), out, 0.55, tone, rng)])


def _skyline(angle: Numbers, phase: float) -> Numbers:
    """The height of the wood, in m."""
    return np.asarray(4.5 + 2.0 * np.sin(3 * angle + phase) + 1.2 * np.sin(11 * angle) + 0.5 * np.sin(37 * angle))


def _barn(rng: np.random.Generator) -> list[Mesh]:
    """A wall with a door, a window and a roof's edge."""
    y, tone = (
        float(rng.uniform(4.5, 9)),
        ((146, 60, 48), (120, 96, 72), (186, 180, 168), (92, 104, 112))[int(rng.integers(4))],
    )
    x = float(rng.uniform(-4, 1))
    dark = (44, 38, 34)
    return [
        panel((x + 7, y, 0), (0, 0, 4.2), (-14, 0, 0), Stuff.PLANKS, tone),
        box((x - 1.6, y - 0.05, 0), (x + 0.2, y + 0.02, 2.6), Stuff.PLANKS, dark),
        box((x + 1.7, y - 0.05, 1.3), (x + 2.8, y + 0.02, 2.2), Stuff.EYE, (70, 84, 96)),
        box((x - 8, y - 0.7, 4.1), (x + 8, y + 0.5, 4.3), Stuff.METAL, (96, 98, 102)),
        ball((x + 4.6, y - 0.9, 0.35), (0.75, 0.6, 0.5), Stuff.HAY, (186, 162, 96), 9),
    ]
