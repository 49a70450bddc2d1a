"""What the node needs besides the pipeline's config; its fields are ROS parameters."""

from __future__ import annotations

from typing import Literal

from pydantic.dataclasses import dataclass

from semabs_core.config import STRICT, option

READ_AT_START = ("config_file", "autostart", "result_timeout_s")
LONGEST_QUEUE = 1000
"""The most that ``sync_queue_size`` may be."""


@dataclass(frozen=True, config=STRICT)
class NodeConfig:
    """What the node needs besides the pipeline's config."""

    config_file: str = option("", "YAML with defaults for the model options; read at start only")
    autostart: bool = option(False, "configure and activate by itself; read at start only")
    classes: list[str] = option(
        lambda: ["floor", "wall", "table", "chair", "sofa", "cabinet", "book", "house plant"],
        "names that the continuous completion labels",
        live=True,
    )
    world_frame: str = option(
        "",
        "gravity-aligned frame of all outputs; empty: the root of the camera's TF tree",
        live=True,
    )
    rgb_transport: Literal["raw", "compressed"] = option("raw", "raw, or rgb/image/compressed")
    depth_transport: Literal["raw", "compressedDepth", "compressed"] = option(
        "raw", "raw, depth/image/compressedDepth, or depth/image/compressed (16-bit PNG)"
    )
    rectified_images: bool = option(
        False,
        "the images are rectified already: use P of camera_info and ignore its distortion; so are "
        "those whose topic says so by its name (image_rect)",
    )
    ignore_frame_ids: bool = option(
        False,
        "take depth and camera_info as belonging to colour (registered, calibrated) although their "
        "header.frame_id is another one",
        live=True,
    )
    reliability: Literal["auto", "reliable", "best_effort"] = option(
        "auto", "of the camera's subscriptions; auto matches the publishers", live=True
    )
    sync_queue_size: int = option(
        10, "messages per topic that wait for their partners", ge=1, le=LONGEST_QUEUE
    )
    sync_slop_s: float = option(
        0.05, "how far stamps of one frame may lie apart", unit="s", ge=0, le=10
    )
    tf_timeout_s: float = option(
        0.5,
        "how long a frame waits for the transform at its stamp",
        live=True,
        unit="s",
        ge=0,
        le=30,
    )
    tf_cache_s: float = option(10.0, "how long transforms are remembered", unit="s", gt=0, le=600)
    max_frame_age_s: float = option(
        10.0,
        "a goal waits for a newer frame when the last one came longer ago; 0: any will do",
        live=True, unit="s", ge=0, le=86400,
    )  # fmt: skip
    completion_rate_hz: float = option(
        0.0,
        "limit of the continuous completion; 0: as fast as it goes",
        live=True,
        unit="Hz",
        ge=0,
        le=100,
    )
    goal_policy: Literal["queue", "preempt", "reject"] = option(
        "queue",
        "what a goal does while another runs: wait, take its place, or be refused",
        live=True,
    )
    max_queued_goals: int = option(
        8, "goals that may wait (policy queue)", live=True, ge=0, le=1000
    )
    goal_timeout_s: float = option(
        120.0,
        "how long a goal may wait and run when it says 0",
        live=True,
        unit="s",
        gt=0,
        le=86400,
    )
    result_timeout_s: int = option(
        300,
        "how long the result of a goal that is over can still be fetched; read at start only",
        unit="s",
        ge=1,
        le=86400,
    )
