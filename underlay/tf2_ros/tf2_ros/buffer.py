"""`Buffer`: the transform tree, with waiting."""

from __future__ import annotations

import threading
import time as wall_time
from collections.abc import Callable
from typing import Any

from geometry_msgs.msg import TransformStamped
from rclpy.clock import Clock, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.task import Future
from rclpy.time import Time
from tf2_msgs.srv import FrameGraph
from tf2_py import BufferCore, TransformException

from tf2_ros.buffer_interface import BufferInterface

NO_WAIT = Duration()


class Buffer(BufferCore, BufferInterface):
    """Stores transforms, answers lookups and waits for transforms that are yet to come.

    Waiting with a timeout blocks the calling thread: somebody else has to receive the transforms
    meanwhile (another thread of the executor, or a listener with `spin_thread`). The `*_async`
    methods do not block.

    When the clock jumps back, or changes between simulated and real time, everything that moves is
    forgotten.

    Args:
        cache_time: how far back moving frames are remembered (default 10 s).
        node: gets the service `tf2_frames`, which returns all frames as YAML, and lends its clock.
    """

    def __init__(self, cache_time: Duration | None = None, node: Node | None = None) -> None:
        BufferCore.__init__(self, cache_time)
        BufferInterface.__init__(self)
        self._changed = threading.Condition()
        self._awaited: dict[Future, Callable[[], TransformStamped]] = {}
        if node is not None:
            self.srv = node.create_service(FrameGraph, "tf2_frames", self._answer_frame_graph)
            self.clock = node.get_clock()
        else:
            self.clock = Clock()
        self.jump_handle = self.clock.create_jump_callback(
            JumpThreshold(
                min_forward=None,
                min_backward=Duration(seconds=-1),
                on_clock_change=True,
            ),
            post_callback=self.time_jump_callback,
        )

    def _answer_frame_graph(self, request: Any, response: Any) -> Any:
        response.frame_yaml = self.all_frames_as_yaml()
        return response

    def time_jump_callback(self, time_jump: TimeJump) -> None:
        get_logger("tf2_buffer").warning("time jumped back: forgetting all moving frames")
        self.clear()

    # Storing

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """Store the pose of a moving frame and serve those who wait for it."""
        super().set_transform(transform, authority)
        self._serve_waiting()

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """Store the pose of a static frame and serve those who wait for it."""
        super().set_transform_static(transform, authority)
        self._serve_waiting()

    def _serve_waiting(self) -> None:
        with self._changed:
            self._changed.notify_all()
            waiting = list(self._awaited)
        for future in waiting:
            self._serve(future)

    # Looking up

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Time, timeout: Duration = NO_WAIT
    ) -> TransformStamped:
        """The transform that maps points of the source frame to the target frame.

        Args:
            target_frame: where points are brought to.
            source_frame: where points come from.
            time: when; zero for the newest time that can be had.
            timeout: how long to wait for it.

        Raises:
            TransformException: it could not be had; the subclass says why.
        """
        self.can_transform(target_frame, source_frame, time, timeout)
        return self.lookup_transform_core(target_frame, source_frame, time)

    def lookup_transform_full(
        self,
        target_frame: str,
        target_time: Time,
        source_frame: str,
        source_time: Time,
        fixed_frame: str,
        timeout: Duration = NO_WAIT,
    ) -> TransformStamped:
        """The same between two times, `fixed_frame` standing still meanwhile."""
        request = (target_frame, target_time, source_frame, source_time, fixed_frame)
        self.can_transform_full(*request, timeout)
        return self.lookup_transform_full_core(*request)

    def can_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: Time,
        timeout: Duration = NO_WAIT,
        return_debug_tuple: bool = False,
    ) -> bool | tuple[bool, str]:
        """Whether a lookup would succeed, within `timeout`.

        Args:
            target_frame: where points are brought to.
            source_frame: where points come from.
            time: when; zero for the newest time that can be had.
            timeout: how long to wait for it.
            return_debug_tuple: return also why not.
        """
        answer = self._wait_until(
            lambda: self.can_transform_core(target_frame, source_frame, time), timeout
        )
        return answer if return_debug_tuple else answer[0]

    def can_transform_full(
        self,
        target_frame: str,
        target_time: Time,
        source_frame: str,
        source_time: Time,
        fixed_frame: str,
        timeout: Duration = NO_WAIT,
        return_debug_tuple: bool = False,
    ) -> bool | tuple[bool, str]:
        """The same between two times, `fixed_frame` standing still meanwhile."""
        answer = self._wait_until(
            lambda: self.can_transform_full_core(
                target_frame, target_time, source_frame, source_time, fixed_frame
            ),
            timeout,
        )
        return answer if return_debug_tuple else answer[0]

    def _wait_until(
        self, ask: Callable[[], tuple[bool, str]], timeout: Duration
    ) -> tuple[bool, str]:
        deadline = wall_time.monotonic() + timeout.nanoseconds / 1e9
        with self._changed:
            answer = ask()
            while not answer[0]:
                remaining = deadline - wall_time.monotonic()
                if remaining <= 0:
                    break
                self._changed.wait(remaining)
                answer = ask()
        return answer

    # Looking up without blocking

    async def lookup_transform_async(
        self, target_frame: str, source_frame: str, time: Time
    ) -> TransformStamped:
        """As `lookup_transform`, to be awaited; waits for ever."""
        return await self.wait_for_transform_async(target_frame, source_frame, time)

    async def lookup_transform_full_async(
        self,
        target_frame: str,
        target_time: Time,
        source_frame: str,
        source_time: Time,
        fixed_frame: str,
    ) -> TransformStamped:
        """As `lookup_transform_full`, to be awaited; waits for ever."""
        return await self.wait_for_transform_full_async(
            target_frame, target_time, source_frame, source_time, fixed_frame
        )

    def wait_for_transform_async(self, target_frame: str, source_frame: str, time: Time) -> Future:
        """A future of the transform; cancel it to stop waiting."""
        return self._promise(lambda: self.lookup_transform_core(target_frame, source_frame, time))

    def wait_for_transform_full_async(
        self,
        target_frame: str,
        target_time: Time,
        source_frame: str,
        source_time: Time,
        fixed_frame: str,
    ) -> Future:
        """The same between two times, `fixed_frame` standing still meanwhile."""
        return self._promise(
            lambda: self.lookup_transform_full_core(
                target_frame, target_time, source_frame, source_time, fixed_frame
            )
        )

    def _promise(self, look_up: Callable[[], TransformStamped]) -> Future:
        future = Future()
        with self._changed:
            self._awaited[future] = look_up
        self._serve(future)  # only now, lest a transform slips in between
        return future

    def _serve(self, future: Future) -> None:
        """Give a future its transform if that can be had, and forget those that need none."""
        with self._changed:
            look_up = self._awaited.get(future)
            if look_up is None:
                return
            if future.done() or future.cancelled():
                del self._awaited[future]
                return
            try:
                result, error = look_up(), None
            except TransformException:
                return  # not yet
            except Exception as unexpected:
                result, error = None, unexpected
            del self._awaited[future]
        # Outside of the lock: this may run other people's callbacks
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
