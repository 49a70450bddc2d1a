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

from semabs_core.data.scene_file import (
    SCENE_SUFFIXES,
    Scene,
    SceneError,
    built_in_scene,
    load_scene,
)
from semabs_core.readers.camera_topics import TopicError
from semabs_ros.bag_player import BagPlayer
from semabs_ros.player_node import OPTIONS, Player
from semabs_ros.programs import refuse, start

PURPOSE = (
    "Plays a scene file or the camera and TF of a recording, as a camera driver would: stamps are "
    "now, colour, depth and camera_info come under the names that the semabs node listens to."
)


def play(player: Player) -> None:
    """Play until the end (or for ever with ``loop``).

    Raises:
        SceneError: if the scene or recording cannot be played.
        TopicError: if it is not clear which topics of a recording are the camera.
    """
    path = Path(player.source)
    if not player.source:
        play_scene(player, built_in_scene())
    elif path.suffix.lower() in SCENE_SUFFIXES and not path.is_dir():
        play_scene(player, load_scene(path))
    else:
        BagPlayer(player, path).play()


def play_scene(player: Player, scene: Scene) -> None:
    """Play the frames of a scene file, with their poses."""
    broadcaster = TransformBroadcaster(player)
    player.get_logger().info(
        f"playing {scene.name}: {len(scene)} frame(s) of {scene.rgb.shape[2]}x"
        f"{scene.rgb.shape[1]} at {player.rate_hz:g} Hz{', looping' if player.loop else ''}"
    )
    due = time.monotonic()
    for _ in player.passes():
        for index in range(len(scene)):
            stamp = player.get_clock().now().to_msg()
            header = Header(stamp=stamp, frame_id=player.camera_frame)
            pose = player.pose(scene.T_world_camera[index], stamp, player.camera_frame)
            broadcaster.sendTransform(pose)
            player.publishers_of["info"].publish(camera_info(scene, header))
            player.publish_color(scene.rgb[index], header)
            player.publish_depth(scene.depth_m[index], header)
            due = max(due + 1 / player.rate_hz, time.monotonic())
            if not player.wait(due):
                return


def camera_info(scene: Scene, header: Header) -> CameraInfo:
    """The calibration of a scene's camera: no distortion."""
    info = CameraInfo(header=header, height=scene.rgb.shape[1], width=scene.rgb.shape[2])
    info.distortion_model = "plumb_bob"
    info.d = [0.0] * 5
    info.k = scene.K.ravel().tolist()
    info.r = np.eye(3).ravel().tolist()
    info.p = np.hstack([scene.K, np.zeros((3, 1))]).ravel().tolist()
    return info


def main() -> None:
    """Play until done or interrupted; a scene that cannot be played is one clear line."""
    player = start("player", PURPOSE, OPTIONS, Player)
    try:
        play(player)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except (SceneError, TopicError) as error:
        rclpy.try_shutdown()
        refuse("player", str(error))
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
