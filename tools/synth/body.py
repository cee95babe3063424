"""A body: a mesh tied to bones, painted, with named points; `posed` bends it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tools.synth.flesh import Cone
from tools.synth.geometry import Mesh
from tools.synth.skeleton import Skeleton, Skin, bend, skin
from tools.synth.types import F32, F64


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A named point of a body: where it is at rest, what it moves with, how deep below the skin it lies."""

    name: str
    bone: str
    at: tuple[float, float, float]
    radius_m: float


EVERY = 5  # every n-th vertex is used to place a body


@dataclass(frozen=True, kw_only=True, eq=False)
class Body:
    kind: str  # "horse", "person"
    skeleton: Skeleton
    mesh: Mesh  # at rest
    skin: Skin
    points: Mapping[str, tuple[Point, ...]]  # by schema, in its order
    tail: tuple[str, ...] = ()  # bones that hang, from the root
    bulk: tuple[str, ...] = ()  # bones of what a lying body rests on

    @cached_property
    def firm(self) -> NDArray[np.bool_]:
        """Return which of `some` vertices (N,) bear weight; those of a tail do not."""
        return ~self._of(self.tail)

    @cached_property
    def trunk(self) -> NDArray[np.bool_]:
        """Return which of the weight-bearing vertices (N,) belong to the trunk."""
        return self._of(self.bulk)[self.firm]

    @cached_property
    def ends(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return which of the weight-bearing vertices (N,) belong to the fore, and to the hind part."""
        x = self.mesh.vertices[::EVERY, 0][self.firm]
        return x > 0.1, x < -0.1

    def _of(self, bones: Sequence[str]) -> NDArray[np.bool_]:
        return np.isin(self.skin.bones[::EVERY, 0], [self.skeleton.index[name] for name in bones])

    def posed(self, frames: F64) -> Mesh:
        rows = np.ascontiguousarray(frames[:, :3], np.float32)
        turn = rows.copy()
        turn[:, :, 3] = 0
        return self.mesh._replace(
            vertices=bend(self.mesh.vertices, self.skin.bones, self.skin.weights, rows),
            normals=bend(self.mesh.normals, self.skin.bones, self.skin.weights, turn),
        )

    def some(self, frames: F64, every: int = EVERY) -> F32:
        """Return some posed vertices (N, 3), m: enough to find what touches the ground."""
        tie = self.skin
        rows = np.ascontiguousarray(frames[:, :3], np.float32)
        return bend(self.mesh.vertices[::every], tie.bones[::every], tie.weights[::every], rows)

    def where(self, schema: str, frames: F64) -> F64:
        """Return the points (K, 3) of a schema in the world, m."""
        at = np.array([[*p.at, 1.0] for p in self.points[schema]])
        bones = [self.skeleton.index[p.bone] for p in self.points[schema]]
        placed: F64 = np.einsum("kij,kj->ki", frames[bones][:, :3], at)
        return placed


def tied(skeleton: Skeleton, bones: Sequence[str]) -> Skin:
    """Vertices that follow one bone each."""
    index = np.zeros((len(bones), 4), np.int32)
    index[:, 0] = [skeleton.index[bone] for bone in bones]
    return Skin(bones=index, weights=np.tile(np.array([1, 0, 0, 0], np.float32), (len(bones), 1)))


def rooted(skeleton: Skeleton, cones: Sequence[Cone], roots: F32, vertices_each: int) -> Skin:
    """Strands that follow the flesh they grow from."""
    none = np.empty((0, 3), np.int32)
    at = skin(skeleton, cones, roots, none)
    return Skin(bones=at.bones.repeat(vertices_each, axis=0), weights=at.weights.repeat(vertices_each, axis=0))


def skins(parts: Sequence[Skin]) -> Skin:
    return Skin(bones=np.concatenate([p.bones for p in parts]), weights=np.concatenate([p.weights for p in parts]))
