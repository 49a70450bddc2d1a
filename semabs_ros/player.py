"""Plays a scene file or a recording as a camera driver with TF would: live stamps, real time."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header
from tf2_ros import TransformBroadcaster

from semabs_core.data.scene_file import Scene, SceneError
from semabs_core.readers import BAG, FrameSequence, open_sequence, reader_of
from semabs_core.types import RGBDFrame
from semabs_ros.bag_player import BagPlayer
from semabs_ros.player_node import OPTIONS, Player
from semabs_ros.programs import refuse, start

PURPOSE = (
    "Plays RGB-D files or the camera and TF of a recording, as a camera driver would: stamps are "
    "now, colour, depth and camera_info come under the names that the semabs node listens to."
)


def play(player: Player) -> None:
    """Play until the end (or for ever with ``loop``).

    Raises:
        SceneError: if the scene or recording cannot be played.
        TopicError: if it is not clear which topics of a recording are the camera.
        ValueError: if something is told that does not count for what is played.
    """
    path = Path(player.source)
    if player.source and reader_of(path) is BAG:
        BAG.check(player.read_options)
        BagPlayer(player, path).play()
    else:
        play_frames(player, open_sequence(player.source, player.read_options))


def play_frames(player: Player, frames: FrameSequence) -> None:
    """Play frames with their poses; damaged ones are said and left out.

    Raises:
        SceneError: if none can be played.
    """
    broadcaster, log = TransformBroadcaster(player), player.get_logger()
    loops = ", looping" if player.loop else ""
    log.info(f"playing {frames.name}: {len(frames)} frame(s) at {player.rate_hz:g} Hz{loops}")
    for note in frames.notes:
        log.info(note)
    due = time.monotonic()
    for _ in player.passes():
        played = 0
        for index in range(len(frames)):
            try:
                frame = frames.frame(index)
            except ValueError as error:
                log.warning(f"frame {index} is left out: {error}")
                continue
            played += 1
            stamp = player.get_clock().now().to_msg()
            header = Header(stamp=stamp, frame_id=player.camera_frame)
            pose = player.pose(frame.T_world_camera, stamp, player.camera_frame)
            broadcaster.sendTransform(pose)
            player.publishers_of["info"].publish(camera_info(frame, header))
            player.publish_color(frame.rgb, header)
            player.publish_depth(frame.depth_m, header)
            due = max(due + 1 / player.rate_hz, time.monotonic())
            if not player.wait(due):
                return
        if not played:
            raise SceneError(f"no frame of {frames.name} can be played")


def camera_info(camera: RGBDFrame | Scene, header: Header) -> CameraInfo:
    """The calibration of a frame's or a scene's camera: no distortion."""
    height, width = camera.rgb.shape[-3:-1]
    info = CameraInfo(header=header, height=height, width=width)
    info.distortion_model = "plumb_bob"
    info.d = [0.0] * 5
    info.k = camera.K.ravel().tolist()
    info.r = np.eye(3).ravel().tolist()
    info.p = np.hstack([camera.K, np.zeros((3, 1))]).ravel().tolist()
    return info


def main() -> None:
    """Play until done or interrupted; a scene that cannot be played is one clear line."""
    player = start("player", PURPOSE, OPTIONS, Player)
    try:
        play(player)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except ValueError as error:
        rclpy.try_shutdown()
        refuse("player", str(error))
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
