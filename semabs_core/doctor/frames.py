"""Checks of RGB-D frames with poses: axes, intrinsics, units, registration, floor, region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from semabs_core import geometry
from semabs_core.config import RegionConfig
from semabs_core.doctor.findings import Finding, Report, error, ok, warning
from semabs_core.doctor.registration import compare_edges
from semabs_core.floor import Surface, estimate_up, find_floor, surface_of
from semabs_core.pose_checks import doubt
from semabs_core.types import RGBDFrame

AXES = ("looks up", "body frame")
"""Kinds of doubt about which way the camera's axes point."""
UNCENTRED, FAR_OFF = 0.08, 0.2
"""How far a principal point is from the middle, in parts of the image: worth a look; of another
image."""
FAR_M, NEAR_M = 20.0, 0.1
"""Medians of depth in metres that no room gives."""
LEANING_DEG, TILTED_DEG = 5.0, 12.0
OFF_M, WRONG_M = 0.08, 0.25
"""Heights of the floor that cost quality; that cost everything."""
TABLE_M, TABLE_M2 = 1.0, 1.5
"""A level surface above the floor's height may be a table, if it is no higher and no larger."""
FEW, NONE_LEFT = 0.1, 0.01
HOLES, BLIND = 0.5, 0.95
SKIPPED = "not looked at, because what comes before it is wrong"


def check_frames(
    frames: Sequence[RGBDFrame], region: RegionConfig, camera_frame: str, world_frame: str
) -> list[Finding]:
    """All checks, in the order of cause and effect; effects of an error are not looked at.

    Args:
        frames: some of a sequence, of one camera.
        region: where the floor and the region are to be.
        camera_frame: name of the images' frame; empty where there is none.
        world_frame: name of the poses' frame.
    """
    report = Report()
    suspicion = [doubt(frame, camera_frame, world_frame, region.floor_z_m) for frame in frames]
    doubted = max(suspicion, key=lambda found: sum(found.kind == s.kind for s in suspicion))
    sound = report.add(_axes(doubted, camera_frame))
    sound &= report.add(check_intrinsics(frames[0]))
    units = report.add(check_units(frames))
    report.add(check_registration(frames))
    if not (sound and units):
        report.add([ok("floor and region", SKIPPED)])
        return report.findings
    surface = surface_of(frames)
    level = report.add(check_floor(surface, region, doubted))
    if level:
        report.add(check_region(frames, region))
    report.add(check_holes(frames))
    return report.findings


def _axes(doubted: str, camera_frame: str) -> list[Finding]:
    """Optical or body frame."""
    subject = "optical frame (z forward)"
    if getattr(doubted, "kind", "") in AXES:
        what, _, remedy = doubted.partition(": if ")
        return [error(subject, what, f"if {remedy}")]
    named = f"'{camera_frame}' " if camera_frame else ""
    return [ok(subject, f"{named}looks where a camera would, x right, y down, z forward")]


def check_intrinsics(frame: RGBDFrame) -> list[Finding]:
    """Does K belong to an image of this size?"""
    subject, K = "intrinsics", frame.K
    size = np.array([frame.camera.width, frame.camera.height])
    ratio = (2 * K[:2, 2] + 1) / size  # 1 where the principal point is the middle
    off = float(np.abs(ratio - 1).max() / 2)
    fov = np.degrees(2 * np.arctan(size / 2 / np.diag(K)[:2]))
    said = (
        f"principal point ({K[0, 2]:.0f}, {K[1, 2]:.0f}) of {size[0]}x{size[1]}, focal length "
        f"{K[0, 0]:.0f}, field of view {fov[0]:.0f}x{fov[1]:.0f} degrees"
    )
    if off > FAR_OFF:
        guess = f"{2 * K[0, 2] + 1:.0f}x{2 * K[1, 2] + 1:.0f}"
        return [
            error(
                subject,
                f"K is not that of this image: {said}; it would fit an image of {guess}",
                "publish the camera_info of the images that you publish, or scale K with them",
            )
        ]
    if off > UNCENTRED or not 20 < fov.max() < 130 or not 0.95 < K[0, 0] / K[1, 1] < 1.05:
        return [
            warning(
                subject,
                f"unusual: {said}",
                "right for cropped, wide or anisotropic images; else calibrate the camera",
            )
        ]
    return [ok(subject, said)]


def check_units(frames: Sequence[RGBDFrame]) -> list[Finding]:
    """Is a metre a metre?"""
    subject = "depth units"
    readings = np.concatenate([f.depth_m[geometry.valid_depth(f.depth_m)] for f in frames])
    if not readings.size:
        return [
            error(subject, "depth holds no reading at all", "is the depth camera covered, or off?")
        ]
    low, middle, high = np.percentile(readings, [1, 50, 99])
    said = f"median {middle:.3g} m, 1 % below {low:.3g} m, 1 % above {high:.3g} m"
    if middle > FAR_M:
        return [
            error(
                subject,
                f"a metre that is 1000 or the like: {said}",
                "32FC1 must hold metres: divide by 1000, or publish millimetres as 16UC1; of files "
                "tell the scale (--read depth_scale=1000)",
            )
        ]
    if middle < NEAR_M:
        return [
            error(
                subject,
                f"nothing is seen from so near: {said}",
                "16UC1 must hold millimetres: multiply metres by 1000, or publish them as 32FC1; "
                "of files tell the scale (--read depth_scale=1)",
            )
        ]
    return [ok(subject, said)]


def check_registration(frames: Sequence[RGBDFrame]) -> list[Finding]:
    """Is depth in colour's view?"""
    subject = "depth registered to colour"
    found = compare_edges(list(frames))
    if found is None:
        return [ok(subject, "cannot be told, depth has too few borders in these frames")]
    if not found.elsewhere:
        return [ok(subject, f"borders of depth lie on those of colour (score {found.here:.2f})")]
    right, down = (f"{part:+.0%}" for part in found.shift)
    return [
        error(
            subject,
            f"borders of depth do not lie on those of colour (score {found.here:.2f}); they would "
            f"({found.best:.2f}) if depth were moved {right} of the width to the right, {down} "
            f"down, and enlarged {found.scale:.2f} times",
            "take the driver's registered (aligned) depth, or depth_image_proc/register; colour "
            "and depth must be of the same moment too",
        )
    ]


def check_floor(surface: Surface, region: RegionConfig, doubted: str) -> list[Finding]:
    """Is the floor where region.floor_z_m says, and level?"""
    findings = _lean(surface)
    subject = "floor height"
    floor, said = find_floor(surface), region.floor_z_m
    remedy = (
        "set region.floor_z_m to the floor's height in the world frame, set world_frame to a frame "
        "on the floor, or mend the camera's mount in TF; of files tell it (--read floor=...)"
    )
    if floor is None:
        if doubted:
            return [*findings, error(subject, doubted.partition(": ")[0], remedy)]
        return [*findings, ok(subject, "no level surface is seen that could be the floor")]
    off = floor.height_m - said
    text = (
        f"the lowest level surface ({floor.area_m2:.1f} m2) is at z = {floor.height_m:.2f} m, the "
        f"floor should be at {said:g} m"
    )
    table = 0 < off < TABLE_M and floor.area_m2 < TABLE_M2
    if abs(off) > WRONG_M and not table:
        findings.append(error(subject, text, remedy))
    elif doubted:
        findings.append(error(subject, doubted.partition(": ")[0], remedy))
    elif abs(off) > OFF_M:
        hint = "right where it is a table and the floor is hidden; else " if table else ""
        findings.append(warning(subject, text, hint + remedy))
    else:
        findings.append(ok(subject, text))
    return findings


def _lean(surface: Surface) -> list[Finding]:
    """Is up by TF the up that floors and tables show?"""
    subject = "gravity"
    found = estimate_up(replace(surface, up=np.array([0.0, 0, 1])))
    if found is None:
        return [ok(subject, "no level surface tells whether the world's z axis is up")]
    lean = float(np.degrees(np.arccos(np.clip(found[0][2], -1, 1))))
    text = f"level surfaces lean {lean:.1f} degrees from the world's z axis"
    remedy = (
        "the world frame must have z up (REP 103): mend the camera's pitch and roll in TF, or take "
        "another world_frame; of files tell up (--read up=y, or up=estimate)"
    )
    if lean > TILTED_DEG:
        return [error(subject, text, remedy)]
    return [warning(subject, text, remedy) if lean > LEANING_DEG else ok(subject, text)]


def check_region(frames: Sequence[RGBDFrame], region: RegionConfig) -> list[Finding]:
    """Do readings lie in the region that is completed?"""
    subject = "region"
    shares = [share_in_region(frame, region) for frame in frames]
    share = float(np.mean(shares))
    lower = np.array(region.region_min_m)
    text = (
        f"{share:.0%} of the readings lie in the region (from {lower[0]:.2f} to "
        f"{lower[0] + region.region_size_m:.2f} m ahead)"
    )
    remedy = "set region.region_min_m and region_size_m to where things are (config tabletop.yaml)"
    if share < NONE_LEFT:
        return [error(subject, text, remedy)]
    return [warning(subject, text, remedy) if share < FEW else ok(subject, text)]


def share_in_region(frame: RGBDFrame, region: RegionConfig) -> float:
    """Share of a frame's readings in the region, with its margin."""
    valid = geometry.valid_depth(frame.depth_m)
    if not valid.any():
        return 0.0
    points = geometry.back_project(frame.depth_m, frame.K)[valid]
    viewer = geometry.viewer_frame(frame.T_world_camera, region.floor_z_m)
    T = geometry.invert(viewer) @ frame.T_world_camera
    lower = np.array(region.region_min_m)
    box = np.stack([lower, lower + region.region_size_m])
    inside = geometry.in_bounds(geometry.transform_points(T, points), box, region.input_margin_m)
    return float(inside.mean())


def check_holes(frames: Sequence[RGBDFrame]) -> list[Finding]:
    """How much of the picture has depth?"""
    subject = "holes in depth"
    share = float(np.mean([1 - geometry.valid_depth(frame.depth_m).mean() for frame in frames]))
    text = f"{share:.0%} of the pixels have no reading"
    remedy = (
        "glass, mirrors, dark, very near and far things, sunlight; or the depth camera's view is "
        "smaller than colour's"
    )
    if share > BLIND:
        return [error(subject, text, remedy)]
    return [warning(subject, text, remedy) if share > HOLES else ok(subject, text)]
