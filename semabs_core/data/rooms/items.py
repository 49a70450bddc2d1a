"""Placed objects, and all their triangles as one ray casting scene."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import open3d as o3d
from numpy.typing import NDArray

from semabs_core.data.rooms.bodies import Body
from semabs_core.data.rooms.paints import Paint
from semabs_core.data.rooms.parts import rotation


@dataclass(frozen=True)
class Item:
    """An object in the room.

    Attributes:
        name: class name as it stands in labels.
        body: its parts and areas, body frame.
        position: (3,) of the body frame's origin, room frame, metres.
        yaw_deg: turn about z.
        parent: index of the item that it stands on or in, if any.
        relation: ``on`` or ``in`` its parent, or empty.
    """

    name: str
    body: Body
    position: tuple[float, float, float] = (0.0, 0.0, 0.0)
    yaw_deg: float = 0.0
    parent: int | None = None
    relation: str = ""

    @property
    def T_room_body(self) -> NDArray[np.float64]:  # noqa: N802
        """(4, 4) rigid, body frame to room frame, metres."""
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = rotation("z", self.yaw_deg), self.position
        return T


@dataclass(frozen=True)
class Geometry:
    """The triangles of all items, and what they belong to.

    Attributes:
        vertices: (V, 3) float32, metres, frame of the viewer.
        triangles: (F, 3) uint32.
        local: (V, 3) float32, the same vertices in the frame of their body.
        normals: (F, 3, 3) float32, unit, of triangle corners, frame of the viewer.
        local_normals: (F, 3, 3) float32, the same in the frame of their body.
        part_of: (F,) int32, which part a triangle belongs to.
        item_of: (P,) int32, which item a part belongs to.
        paints: of the parts.
        raycaster: of the triangles; primitive ids index them.
    """

    vertices: NDArray[np.float32]
    triangles: NDArray[np.uint32]
    local: NDArray[np.float32]
    normals: NDArray[np.float32]
    local_normals: NDArray[np.float32]
    part_of: NDArray[np.int32]
    item_of: NDArray[np.int32]
    paints: list[Paint]
    raycaster: o3d.t.geometry.RaycastingScene = field(repr=False)

    @classmethod
    def of(cls, items: list[Item], T_viewer_room: NDArray[np.float64]) -> Geometry:
        """All items, moved from the room's frame to the viewer's."""
        vertices, triangles, local, normals, turned = [], [], [], [], []
        sizes, item_of, paints, start = [], [], [], 0
        for index, item in enumerate(items):
            T = T_viewer_room @ item.T_room_body
            for part in item.body.parts:
                local.append(part.vertices)
                vertices.append(part.vertices @ T[:3, :3].T + T[:3, 3])
                triangles.append(part.triangles + start)
                normals.append(part.normals)
                turned.append(part.normals @ T[:3, :3].T)
                start += len(part.vertices)
                sizes.append(len(part.triangles))
                item_of.append(index)
                paints.append(part.paint)
        raycaster = o3d.t.geometry.RaycastingScene(nthreads=1)
        points = np.concatenate(vertices).astype(np.float32)
        faces = np.concatenate(triangles).astype(np.uint32)
        raycaster.add_triangles(tensor(points), tensor(faces))
        return cls(
            vertices=points,
            triangles=faces,
            local=np.concatenate(local).astype(np.float32),
            normals=np.concatenate(turned).astype(np.float32),
            local_normals=np.concatenate(normals).astype(np.float32),
            part_of=np.repeat(np.arange(len(sizes)), sizes).astype(np.int32),
            item_of=np.array(item_of, dtype=np.int32),
            paints=paints,
            raycaster=raycaster,
        )


def tensor(values: NDArray) -> o3d.core.Tensor:
    """An array as Open3D wants it, same numbers."""
    return o3d.core.Tensor(np.ascontiguousarray(values))  # type: ignore[call-overload]
