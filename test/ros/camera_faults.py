"""Faults of cameras: each makes messages of `Camera.change` wrong in one way."""

import numpy as np

from semabs_ros.convert import depth_to_image


def small_depth(rgb, depth, info):
    half = depth_to_image(np.ones((60, 80), np.float32), depth.header, "32FC1")
    return rgb, half, info


def bad_encoding(rgb, depth, info):
    depth.encoding = "8UC1"
    return rgb, depth, info


def bad_color(rgb, depth, info):
    rgb.encoding = "32FC1"
    return rgb, depth, info


def unknown_color(rgb, depth, info):
    rgb.encoding = "octarine8"
    return rgb, depth, info


def no_reading(rgb, depth, info):
    nothing = np.full((depth.height, depth.width), np.nan, np.float32)
    return rgb, depth_to_image(nothing, depth.header, "32FC1"), info


def no_intrinsics(rgb, depth, info):
    info.k = [0.0] * 9
    return rgb, depth, info


def truncated(rgb, depth, info):
    rgb.data = rgb.data[:100]
    return rgb, depth, info


def odd_lens(rgb, depth, info):
    info.d, info.distortion_model = [0.1, 0.0, 0.0, 0.0, 0.0], "fancy"
    return rgb, depth, info


def no_stamp(rgb, depth, info):
    for message in (rgb, depth, info):
        message.header.stamp.sec = message.header.stamp.nanosec = 0
    return rgb, depth, info


def before_time(rgb, depth, info):
    rgb.header.stamp.sec = -5
    return rgb, depth, info


def half_a_size(rgb, depth, info):
    info.width = 0
    return rgb, depth, info


def short_lens(rgb, depth, info):
    info.d = [0.1, 0.0, 0.0]
    return rgb, depth, info


def cropped(rgb, depth, info):
    info.roi.x_offset = 10
    return rgb, depth, info


def other_frame(rgb, depth, info):
    depth.header.frame_id = "depth_optical"
    return rgb, depth, info


def huge(rgb, depth, info):
    rgb.height = rgb.width = rgb.step = 2**32 - 1
    return rgb, depth, info


def far_away(rgb, depth, info):
    far = np.full((depth.height, depth.width), 50, np.float32)
    return rgb, depth_to_image(far, depth.header, "32FC1"), info
