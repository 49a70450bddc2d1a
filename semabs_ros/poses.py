"""Where the camera was when it took an image: TF, and the root of the camera's tree."""

from __future__ import annotations

import itertools
import math
import threading
from dataclasses import dataclass
from time import monotonic
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time as TimeMessage
from geometry_msgs.msg import TransformStamped
from numpy.typing import NDArray
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from tf2_ros import Buffer, TransformException, TransformListener

from semabs_core.problem import Problem
from semabs_core.readers.messages import nanoseconds
from semabs_core.text import shorten
from semabs_ros.convert import transform_to_matrix
from semabs_ros.spinning import spin

_LISTENERS = itertools.count()

START_S = 1.0
"""For so long after the start a tree in which nothing moves may be half a tree."""
MAX_REFUSED = 100
"""Of so many frames it is remembered why their last transform was refused."""
MOVING = QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Of the subscription to moving frames."""


@dataclass(frozen=True)
class Link:
    """What TF says of a frame's parent.

    Attributes:
        parent: its name.
        static: whether the transform holds for ever.
        oldest_ns: the oldest stamp since the frame has this parent.
        newest_ns: the newest.
    """

    parent: str
    static: bool
    oldest_ns: int
    newest_ns: int

    @property
    def moves(self) -> bool:
        """Whether transforms with more than one stamp came."""
        return self.oldest_ns < self.newest_ns

    def covers(self, stamp_ns: int) -> bool:
        """Whether there is a transform for a time."""
        return self.static or self.oldest_ns <= stamp_ns <= self.newest_ns

    def joined(self, known: Link | None) -> Link:
        """This link with what was known before."""
        if known is None or self.static or known.static or known.parent != self.parent:
            return self
        oldest, newest = (known.oldest_ns, known.newest_ns)
        return Link(self.parent, False, min(oldest, self.oldest_ns), max(newest, self.newest_ns))


FARTHEST_M = 1e8
"""No two frames on Earth are farther apart, in any map's coordinates."""


class LinkedBuffer(Buffer):
    """A TF buffer that also knows each frame's parent, by name and without parsing a report.

    Attributes:
        links: by child frame.
        refused: by child frame, why its last transform was ignored.
        fixed: by child frame, its last static transform.
    """

    def __init__(self, **options: Any) -> None:
        self.links: dict[str, Link] = {}
        self.refused: dict[str, str] = {}
        self.fixed: dict[str, TransformStamped] = {}
        super().__init__(**options)

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """Store the pose of a moving frame, unless it is unusable."""
        if self._note(transform, static=False):
            super().set_transform(transform, authority)

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """Store the pose of a frame that does not move in its parent, unless it is unusable."""
        if self._note(transform, static=True):
            self.fixed[transform.child_frame_id.removeprefix("/")] = transform
            super().set_transform_static(transform, authority)

    def clear(self) -> None:
        """Forget the poses of all moving frames, and that a static one is said to move.

        TF publishes a static transform once. One message that gives its frame a moving pose would
        hide it for ever.
        """
        self.links, self.refused = {}, {}
        super().clear()
        for transform in list(self.fixed.values()):
            self.set_transform_static(transform, "semabs")

    def _note(self, transform: TransformStamped, static: bool) -> bool:
        parent, child = (
            name.removeprefix("/") for name in (transform.header.frame_id, transform.child_frame_id)
        )
        reason = unusable(parent, child, transform)
        if reason:
            if len(self.refused) < MAX_REFUSED:
                self.refused[child] = reason
            return False
        self.refused.pop(child, None)
        stamp = nanoseconds(transform.header.stamp)
        self.links[child] = Link(parent, static, stamp, stamp).joined(self.links.get(child))
        return True


def unusable(parent: str, child: str, transform: TransformStamped) -> str:
    """Why a transform cannot be one; empty when it can."""
    if not parent or not child:
        return "a frame name is empty"
    if parent == child:
        return "a frame is its own parent"
    t, q = transform.transform.translation, transform.transform.rotation
    if not all(map(math.isfinite, (t.x, t.y, t.z, q.x, q.y, q.z, q.w))):
        return "a number is not finite"
    if max(map(abs, (t.x, t.y, t.z))) > FARTHEST_M:
        return f"it moves by more than {FARTHEST_M:g} m"
    if not any((q.x, q.y, q.z, q.w)):
        return "the quaternion is zero"
    return ""


class CameraPoses:
    """Listens to TF and says where a camera was.

    It listens with a node and a thread of its own, as tf2's C++ listener does: an rclpy executor
    takes one message of each topic in turn, so that hundreds of transforms a second would queue up
    behind images, and images wait for transforms that are long there. And it asks for moving frames
    with best effort: big images overflow the buffers that they share with transforms, and a
    reliable reader holds all that come after a lost one until it is sent again, with Fast DDS up to
    three seconds. A lost transform is followed by the next; what is sent once is for /tf_static.

    Args:
        node: whose clock and context are used.
        cache_s: how long transforms are remembered, seconds.
    """

    def __init__(self, node: Node, cache_s: float) -> None:
        self._node, self._cache_ns = node, int(cache_s * 1e9)
        self.buffer = LinkedBuffer(cache_time=Duration(nanoseconds=self._cache_ns))
        name = f"{node.get_name()}_tf_{next(_LISTENERS)}"
        self._tf_node = Node(
            name,
            context=node.context,
            namespace=node.get_namespace(),
            # Stronger than a __node:=NAME for the whole program.
            cli_args=["--ros-args", "-r", f"__node:={name}"],
            enable_rosout=False,
            start_parameter_services=False,
        )
        self._listener = TransformListener(
            self.buffer, self._tf_node, spin_thread=False, qos=MOVING
        )
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(self._tf_node)
        self._thread = threading.Thread(
            target=spin, args=(self._executor, node.get_logger().error), name=name, daemon=True
        )
        self._thread.start()
        self.root = ""
        """The root that was found last."""
        self._started, self._root_seen = monotonic(), -math.inf

    def stop(self) -> None:
        """Stop listening."""
        self._executor.shutdown(timeout_sec=5)
        self._thread.join(timeout=5)
        self._listener.unregister()
        self._tf_node.destroy_node()

    def clear(self) -> None:
        """Forget what moves: time has jumped, or a message from the future keeps others out."""
        self.buffer.clear()

    def look_up(
        self, world_frame: str, camera_frame: str, stamp: TimeMessage
    ) -> tuple[str, NDArray[np.float64]]:
        """The world frame's name and ``T_world_camera`` at a time.

        Args:
            world_frame: empty for the root of the camera's tree.
            camera_frame: the image's frame_id.
            stamp: the image's.

        Raises:
            TransformException: there is no such transform (yet).
        """
        camera = camera_frame.removeprefix("/")
        if not camera:
            raise TransformException(
                "the colour image has an empty frame_id: set the frame in its driver"
            )
        when = Time.from_msg(stamp, clock_type=self._node.get_clock().clock_type)
        stamp_ns = nanoseconds(stamp)
        for frame in filter(None, (camera, world_frame.removeprefix("/"))):
            self._climb(frame, stamp_ns, patient=True)  # TF would find a way through a loop
        world = world_frame.removeprefix("/") or self._find_root(camera, stamp_ns)
        T = transform_to_matrix(self.buffer.lookup_transform(world, camera, when).transform)
        if not np.isfinite(T).all():
            raise TransformException("the transform is not finite")
        return world, T

    def explain(
        self, world_frame: str, camera_frame: str, stamp: TimeMessage, error: Exception
    ) -> Problem:
        """Why there is no pose, for people."""
        camera = camera_frame.removeprefix("/")
        world = world_frame or self.root or "the root of its TF tree"
        refused = self.buffer.refused.get(camera)
        why = shorten(error) + (f"; its transforms are ignored: {refused}" if refused else "")
        why += self._late(camera, nanoseconds(stamp))
        return Problem(
            f"no transform from '{shorten(camera)}' to '{shorten(world)}' at the image's stamp "
            f"{stamp.sec}.{stamp.nanosec:09d}: {why}; check that TF is published, world_frame is "
            "right and all clocks agree (use_sim_time)",
            "no transform",
        )

    def _late(self, camera: str, stamp_ns: int) -> str:
        """What to do about a transform that comes later than images; empty where none does."""
        frame = camera
        for _ in range(len(self.buffer.links)):
            link = self.buffer.links.get(frame)
            if link is None:
                break
            if link.moves and link.newest_ns < stamp_ns < link.newest_ns + self._cache_ns:
                return (
                    f"; transforms of '{shorten(frame)}' in '{shorten(link.parent)}' come later "
                    "than the images: if they always do, as those of a slow localization, raise "
                    "tf_timeout_s"
                )
            frame = link.parent
        return ""

    def _find_root(self, camera: str, stamp_ns: int) -> str:
        """The frame above the camera to which a chain of living transforms leads.

        A root that was found is waited for as long as TF is remembered when it cannot be reached:
        a localization that is late must not change the world. And before anything moves in the
        camera's tree, what moves it is given a moment to come.

        Raises:
            TransformException: there is none (yet), or the frames go round in a loop.
        """
        # At first a link that lags behind counts too: it is waited for.
        chain = self._climb(camera, stamp_ns, patient=not self.root)
        top, now = chain[-1], monotonic()
        if self.root in chain[1:]:
            self._root_seen = now
        lost = bool(self.root) and self.root not in chain[1:]
        if len(chain) == 1 or (lost and now - self._root_seen < self._cache_ns * 1e-9):
            raise TransformException(_gap(top, self.buffer.links.get(top), stamp_ns))
        if top == self.root:
            return top
        still = all(self.buffer.links[frame].static for frame in chain[:-1])
        if still and now - self._started < START_S:
            raise TransformException("so far nothing but static transforms has been received")
        known, self.root, self._root_seen = self.root, top, now
        log, text = self._node.get_logger(), f"world_frame is not set: using '{shorten(top)}'"
        if lost:
            log.warning(f"{text} from now on, as nothing leads to '{shorten(known)}' any more")
        else:
            log.info(f"{text}, the root of the camera's TF tree")
        return top

    def _climb(self, frame: str, stamp_ns: int, patient: bool) -> list[str]:
        """The frames from one upwards whose links live at a time.

        Args:
            frame: where to start.
            stamp_ns: the time.
            patient: count also links that move but have nothing for this time yet.

        Raises:
            TransformException: the frames go round in a loop.
        """
        chain, links = [frame], self.buffer.links
        while (link := links.get(chain[-1])) is not None:
            late = link.moves and abs(stamp_ns - link.newest_ns) < self._cache_ns
            if not (link.covers(stamp_ns) or (patient and late)):
                break
            if link.parent in chain:
                loop = " -> ".join([*chain[chain.index(link.parent) :], link.parent])
                raise TransformException(
                    f"the TF frames go round in a loop, {shorten(loop)}: one of these transforms "
                    "is published the wrong way round, or by a second publisher"
                )
            chain.append(link.parent)
        return chain


def _gap(frame: str, link: Link | None, stamp_ns: int) -> str:
    """Why a chain of transforms ends."""
    name = shorten(frame)
    if link is None:
        return f"no transform of the frame '{name}' has been received"
    older = link.newest_ns < stamp_ns
    gap = stamp_ns - link.newest_ns if older else link.oldest_ns - stamp_ns
    return (
        f"the {'newest' if older else 'oldest'} transform from '{name}' to its parent "
        f"'{shorten(link.parent)}' is {gap * 1e-9:.3f} s {'older' if older else 'newer'} than the "
        "image"
    )
