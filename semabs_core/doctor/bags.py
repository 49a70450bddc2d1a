"""Checks of messages, recorded or live: topics, rates, QoS, stamps, clock, frames, TF, lens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from semabs_core.doctor.findings import Finding, Level, error, ok, warning
from semabs_core.readers.bag import SLOP_NS
from semabs_core.readers.bag_index import BagIndex
from semabs_core.readers.camera_topics import ROLES
from semabs_core.readers.options import ReadOptions

NAMES = {"rgb": "colour", "depth": "depth", "info": "camera_info"}
OTHER_CLOCK_S = 60.0
START_S = 0.5
"""TF may begin so much later than images."""
FEW_MISSING = 0.1
SLOW_HZ = 0.5
PAUSE_S = 2.0


def check_recording(index: BagIndex, options: ReadOptions) -> list[Finding]:
    """All checks, in the order of cause and effect."""
    damage = [
        warning("damage", text, "record again, or go on without these messages")
        for text in index.damage[:3]
    ]
    if index.camera is None:
        return [_unclear(index), *damage]
    checks: tuple[Callable[[BagIndex], list[Finding]], ...] = (
        _topics, _empty, _zero_stamps, _offset, _clock, _rates, _calibration,
    )  # fmt: skip
    findings = [finding for check in checks for finding in check(index)]
    return [*findings, *check_tf(index, options), *damage]


def _unclear(index: BagIndex) -> Finding:
    """Why there is no camera: depth of another frame, or what else."""
    roles = {topic.role for topic in index.topics}
    frames: dict[str, set[str]] = {
        role: {topic.frame for topic in index.topics if topic.role == role} for role in NAMES
    }
    remedy = "record the missing topics, or tell the right ones (--read rgb_topic=...)"
    if roles >= NAMES.keys() and not frames["rgb"] & frames["depth"]:
        return error("depth registered to colour", index.unclear, remedy)
    return error("topics", index.unclear, remedy)


def _topics(index: BagIndex) -> list[Finding]:
    assert index.camera is not None
    lines = []
    for topic in (index.camera.rgb, index.camera.depth, index.camera.info):
        facts = [topic.type_name, topic.encoding, index.qos.get(topic.name, "")]
        lines.append(f"{topic} {', '.join(filter(None, facts))}")
    return [ok("topics", "; ".join(lines))]


def _empty(index: BagIndex) -> list[Finding]:
    """Topics without a whole message."""
    return [
        error("topics", f"{NAMES[role]} has no message", "is the driver running and recorded?")
        for role in ROLES
        if not index.entries[role]
    ]


def _zero_stamps(index: BagIndex) -> list[Finding]:
    bad = [
        NAMES[role]
        for role in ("rgb", "depth")
        if any(e.stamp_ns <= 0 for e in index.entries[role])
    ]
    if not bad:
        return []
    text = f"{' and '.join(bad)} have messages without a stamp"
    return [error("stamps", text, "the driver must stamp images with the time of the exposure")]


def _offset(index: BagIndex) -> list[Finding]:
    """Do colour and depth of one moment have one stamp?"""
    rgb, depth = index.stamps_s("rgb"), index.stamps_s("depth")
    if not (len(rgb) and len(depth)):
        return []
    remedy = (
        "synchronise the cameras, or let the driver stamp both with the time of the exposure; "
        "sync_slop_s allows more, but then moving things smear"
    )
    slop = SLOP_NS * 1e-9
    nearest = np.abs(rgb[:, None] - depth[None]).min(axis=1)
    apart = float(np.median(nearest))
    if len(rgb) == len(depth):  # the i-th of both are of one moment
        ahead = float(np.median(depth - rgb))
        apart = max(apart, abs(ahead)) if abs(ahead) > slop else apart
    if apart > slop:
        text = (
            f"stamps of depth and colour are {apart * 1000:.0f} ms apart (at most "
            f"{slop * 1000:.0f}, sync_slop_s)"
        )
        return [error("stamps", text, remedy)]
    unpaired = float((nearest > slop).mean())
    text = f"depth is stamped within {apart * 1000:.0f} ms of colour"
    if unpaired > FEW_MISSING:
        return [
            warning("stamps", f"{text}, but {unpaired:.0%} of the images have no depth", remedy)
        ]
    return [ok("stamps", text)]


def _clock(index: BagIndex) -> list[Finding]:
    """One clock, which runs forwards."""
    entries = index.entries["rgb"]
    if not entries:
        return []
    stamps = index.stamps_s("rgb")
    back = int((np.diff(stamps) < 0).sum())
    if back:
        text = f"stamps of colour jump back {back} time(s)"
        return [
            warning("clock", text, "one clock for all; a simulator that is reset, or a looped bag")
        ]
    lag = float(np.median([(e.time_ns - e.stamp_ns) * 1e-9 for e in entries]))
    simulated = any(topic.name == "/clock" for topic in index.topics)
    said = "with /clock: play it with use_sim_time" if simulated else "without /clock"
    if abs(lag) > OTHER_CLOCK_S:
        return [ok("clock", f"stamps are of another clock than the recorder's, {said}")]
    if lag < -0.05:
        text = f"stamps are {-lag:.2f} s ahead of the time of recording"
        return [warning("clock", text, "set the clocks of the machines alike (chrony, NTP)")]
    return [ok("clock", f"images were recorded {lag * 1000:.0f} ms after their stamps, {said}")]


def _rates(index: BagIndex) -> list[Finding]:
    facts, slow, pauses = [], [], []
    for role in ("rgb", "depth"):
        stamps = np.sort(index.stamps_s(role))
        if len(stamps) < 2 or stamps[-1] <= stamps[0]:
            facts.append(f"{NAMES[role]} {len(stamps)} image(s)")
            continue
        rate = (len(stamps) - 1) / (stamps[-1] - stamps[0])
        facts.append(f"{NAMES[role]} {rate:.1f} Hz, {len(stamps)} images")
        if rate < SLOW_HZ:
            slow.append(NAMES[role])
        if (longest := float(np.diff(stamps).max())) > max(PAUSE_S, 5 / rate):
            pauses.append(f"{NAMES[role]} pauses for {longest:.1f} s")
    if slow or pauses:
        text = "; ".join([*facts, *pauses])
        return [warning("rates", text, "is the disk, the network or the socket buffer too small?")]
    return [ok("rates", "; ".join(facts))]


def _calibration(index: BagIndex) -> list[Finding]:
    """Size and distortion of camera_info."""
    assert index.camera is not None
    info, rgb = index.info, index.camera.rgb
    if info is None:
        return []
    findings = []
    if info.width and rgb.width and (info.width, info.height) != (rgb.width, rgb.height):
        text = f"camera_info is of {info.width}x{info.height}, images of {rgb.width}x{rgb.height}"
        findings.append(
            warning("camera_info", text, "K is scaled with the image; better publish its own")
        )
    if any(info.d) and not rgb.rectified:
        text = f"{info.distortion_model}, taken out (rectified images cost less: image_proc)"
    else:
        text = "none" if not rgb.rectified else "images are rectified; P counts"
    return [*findings, ok("distortion", text)]


def check_tf(index: BagIndex, options: ReadOptions) -> list[Finding]:
    """Is the camera's pose known at the images' stamps?"""
    subject, entries = "TF", index.entries["rgb"]
    if options.camera_pose:
        return [ok(subject, "not used: camera_pose is told")]
    if not entries:
        return []
    frame = entries[0].frame_id
    world = options.world_frame or index.transforms.root(frame)
    remedy = (
        f"publish the camera's pose in the robot (robot_state_publisher) from '{world}' to "
        f"'{frame}' at the images' stamps, record /tf and /tf_static; or give --read "
        "camera_pose='x y z roll pitch yaw'"
    )
    if world == frame:
        names = ", ".join(sorted(index.transforms.parents)) or "nothing"
        text = f"says nothing of the images' frame '{frame}' (it has {names})"
        return [error(subject, text, remedy)]
    missing: list[tuple[float, str]] = []
    for entry in entries:
        stamp = entry.stamp_ns * 1e-9
        T, why = index.transforms.at(world, entry.frame_id, stamp)
        if T is None:
            missing.append((stamp - entries[0].stamp_ns * 1e-9, why))
    if not missing:
        return [ok(subject, f"'{world}' to '{frame}' is known at all {len(entries)} stamps")]
    (why, _), *_ = Counter(why for _, why in missing).most_common(1)
    first, last = missing[0][0], missing[-1][0]
    text = (
        f"{why} at {len(missing)} of {len(entries)} stamps, from {first:.1f} to {last:.1f} s after "
        "the start"
    )
    bad = len(missing) > FEW_MISSING * len(entries) and last > START_S
    level = Level.ERROR if bad or len(missing) == len(entries) else Level.WARNING
    return [Finding(level, subject, text, remedy)]
