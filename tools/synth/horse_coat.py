"""What a horse wears: coat, markings, mane and tail."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tools.synth import geometry
from tools.synth.flesh import Cone, push_out
from tools.synth.geometry import RGB, Mesh, Stuff, linear
from tools.synth.shade import lumps
from tools.synth.types import F32, F64, f32


@dataclass(frozen=True, slots=True, kw_only=True)
class Coat:
    """Colours as 0..255 RGB."""

    name: str
    body: RGB
    points: RGB  # lower legs
    hair: RGB
    belly: float = 1.12  # times the body's colour
    dapples: float = 0.0
    patches: float = 0.0  # share that is white
    socks: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)  # height in m: fore left, right, hind left, right
    blaze: float = 0.0  # half width of the white on the face, m


COATS = (
    Coat(name="bay", body=(128, 74, 42), points=(30, 24, 22), hair=(26, 21, 19)),
    Coat(name="dark bay", body=(78, 48, 33), points=(24, 20, 19), hair=(22, 18, 17)),
    Coat(name="chestnut", body=(150, 82, 42), points=(138, 76, 42), hair=(140, 80, 44)),
    Coat(name="flaxen chestnut", body=(140, 78, 42), points=(132, 76, 44), hair=(205, 172, 124)),
    Coat(name="black", body=(38, 34, 34), points=(26, 24, 24), hair=(22, 20, 20)),
    Coat(name="grey", body=(176, 176, 176), points=(104, 104, 106), hair=(176, 176, 178), dapples=0.35),
    Coat(name="steel grey", body=(112, 114, 118), points=(56, 56, 60), hair=(70, 70, 74), dapples=0.5),
    Coat(name="white", body=(222, 219, 212), points=(205, 200, 192), hair=(228, 224, 216)),
    Coat(name="palomino", body=(196, 148, 84), points=(196, 156, 100), hair=(232, 222, 196)),
    Coat(name="buckskin", body=(184, 146, 92), points=(44, 36, 32), hair=(34, 28, 26)),
    Coat(name="pinto", body=(112, 66, 40), points=(215, 208, 200), hair=(60, 44, 36), patches=0.42),
    Coat(name="black pinto", body=(40, 36, 36), points=(222, 218, 212), hair=(210, 205, 200), patches=0.45),
)
WHITE: RGB = (224, 219, 210)


def paint(coat: Coat, at: F32, seed: float) -> F32:
    """(V, 3) linear RGB of the skin at rest positions."""
    x, y, z = at.T
    tone = linear(coat.body)[None] * np.ones((len(at), 1), np.float32)
    tone *= _mix(1.0, coat.belly, _step(z, 1.15, 0.9))[:, None]
    tone *= _mix(1.0, 0.85, _step(z, 1.42, 1.58) * (x < 0.5))[:, None]
    spots = lumps(at, 11.0, seed)
    tone *= (1 + coat.dapples * (spots - 0.5) * _step(z, 0.75, 1.0))[:, None]
    dark = _step(z, 0.66, 0.46) * (np.abs(y) > 0.03)
    tone = _mix(tone, linear(coat.points)[None], dark[:, None])
    muzzle = _step(_head_along(at), 0.40, 0.52) * _is_head(at)
    tone = _mix(tone, tone * 0.45 + 0.004, muzzle[:, None])
    return _white(coat, at, tone, seed)


def _white(coat: Coat, at: F32, tone: F32, seed: float) -> F32:
    """Patches, socks and blaze; then hooves."""
    x, y, z = at.T
    wobble = 0.03 * (lumps(at, 16.0, seed + 5) - 0.5)
    white = np.zeros(len(at), np.float32)
    if coat.patches:
        share = lumps(at * f32([1, 0.6, 1]), 2.3, seed + 9) + 0.25 * (lumps(at, 7.0, seed) - 0.5)
        white = np.maximum(white, _step(share, 1 - coat.patches - 0.015, 1 - coat.patches + 0.015) * (1 - _is_head(at)))
    for fore, left, height in zip((1, 1, 0, 0), (1, 0, 1, 0), coat.socks, strict=True):
        limb = ((x > 0) == bool(fore)) & ((y > 0) == bool(left)) & (np.abs(y) > 0.03)
        white = np.maximum(white, limb * _step(z + wobble, height + 0.012, height - 0.012) * (height > 0))
    face = _is_head(at) * (_above_face(at) > 0.0)
    white = np.maximum(white, face * _step(np.abs(y) + wobble, coat.blaze + 0.008, coat.blaze - 0.004))
    tone = _mix(tone, linear(WHITE)[None], white[:, None])
    horn = linear((92, 80, 68)) if max(coat.socks) > 0.05 else linear((58, 52, 48))
    return _mix(tone, horn[None], _step(z, 0.088, 0.076)[:, None]).astype(np.float32)


def _step(value: F32, a: float, b: float) -> F32:
    """0 at a, 1 at b, smooth between."""
    t = np.clip((value - a) / (b - a), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def _mix(a: F32 | float, b: F32 | float, t: F32) -> F32:
    return np.asarray(a * (1 - t) + b * t, np.float32)


_FACE = np.array([0.33, 0.0, -0.39]) / np.hypot(0.33, 0.39)  # from the poll to the nose


def _head_along(at: F32) -> F32:
    return np.asarray((at - f32([1.05, 0, 1.86])) @ _FACE.astype(np.float32))


def _is_head(at: F32) -> F32:
    return np.asarray((_head_along(at) > 0.02) & (at[:, 0] > 1.05) & (at[:, 2] > 1.40), np.float32)


def _above_face(at: F32) -> F32:
    """How far before the face's midline a point lies."""
    normal = f32([-_FACE[2], 0, _FACE[0]])
    return np.asarray((at - f32([1.05, 0, 1.86])) @ normal - 0.045)


def mane(coat: Coat, flesh: list[Cone], rng: np.random.Generator, length: float, side: float) -> tuple[Mesh, F32]:
    """Strands that fall from the crest, and their roots."""
    n, steps = 190, 6
    t = np.sort(rng.random(n))
    crest = np.array([[0.46, 0, 1.575], [0.68, 0, 1.74], [0.87, 0, 1.89], [1.03, 0, 1.955]])
    roots = np.stack([np.interp(t, [0, 0.38, 0.72, 1], crest[:, c]) for c in range(3)], axis=1)
    roots[:, 1] = rng.normal(0, 0.014, n)
    fall = length * (0.65 + 0.5 * rng.random(n)) * (0.75 + 0.5 * np.sin(np.pi * t))
    down = np.linspace(0, 1, steps)[None, :, None]
    drift = np.stack([rng.normal(-0.10, 0.12, n), np.full(n, side * 0.45), np.full(n, -1.0)], axis=1)
    lift = np.array([0, 0, 0.035]) * np.sin(np.pi * np.minimum(down * 2.2, 1))
    paths = roots[:, None] + drift[:, None] * fall[:, None, None] * down + lift
    shape = paths.shape
    paths = push_out(flesh, paths.reshape(-1, 3), 0.012 + 0.012 * rng.random(n).repeat(steps)).reshape(shape)
    return _strands(paths, coat, rng, 0.03, np.array([1.0, 0, 0.5])), roots.astype(np.float32)


def forelock(coat: Coat, flesh: list[Cone], rng: np.random.Generator) -> Mesh:
    """Strands from between the ears down the face."""
    n, steps = 26, 5
    roots = np.stack([rng.normal(1.06, 0.01, n), rng.normal(0, 0.02, n), np.full(n, 1.955)], axis=1)
    ends = np.stack([rng.normal(1.20, 0.02, n), rng.normal(0, 0.035, n), rng.normal(1.80, 0.03, n)], axis=1)
    paths = roots[:, None] + (ends - roots)[:, None] * np.linspace(0, 1, steps)[None, :, None]
    paths = push_out(flesh, paths.reshape(-1, 3), np.full(n * steps, 0.012)).reshape(paths.shape)
    return _strands(paths, coat, rng, 0.016, np.array([0, 1.0, 0]))


def tail(coat: Coat, joints: F64, rng: np.random.Generator, length: float) -> tuple[Mesh, F64]:
    """Strands along the dock and down; and how far along the tail each vertex is, in bones."""
    n, steps = 150, 9
    start = rng.random(n) * 1.6
    stop = np.clip(len(joints) * (0.72 + 0.3 * rng.random(n)) * length, 2.5, len(joints) + 0.6)
    along = start[:, None] + (stop - start)[:, None] * np.linspace(0, 1, steps)
    knots = np.arange(len(joints) + 2)
    ends = np.concatenate([joints, joints[-1] + np.array([[0.005, 0, -0.24], [0.02, 0, -0.48]])])
    paths = np.stack([np.interp(along, knots, ends[:, c]) for c in range(3)], axis=2)
    angle, out = rng.uniform(0, 2 * np.pi, n), 0.035 + 0.05 * rng.random(n)
    spread = out[:, None] * np.sin(np.pi * np.clip(along / (len(joints) + 1), 0.12, 0.85))
    paths[..., 0] += np.cos(angle)[:, None] * spread * 0.8
    paths[..., 1] += np.sin(angle)[:, None] * spread
    across = np.stack([-np.sin(angle), np.cos(angle), np.zeros(n)], axis=1)
    return _strands(paths, coat, rng, 0.03, across), np.repeat(along, 2, axis=1).reshape(-1)


def _strands(paths: F64, coat: Coat, rng: np.random.Generator, width: float, across: F64) -> Mesh:
    tones = linear(coat.hair)[None] * rng.uniform(0.6, 1.45, (len(paths), 1)).astype(np.float32)
    directions = np.broadcast_to(across / np.linalg.norm(across, axis=-1, keepdims=True), (len(paths), 3))
    return geometry.ribbons(paths, directions, width, Stuff.HAIR, tones)
