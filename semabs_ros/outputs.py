"""What the node publishes besides action results, as one table: name, type, maker, when."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from semabs.msg import Labels, SemanticVoxels
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from semabs_core.description import Description
from semabs_core.types import Completion, Localization
from semabs_core.visualize.figures import relevancy_mosaic
from semabs_ros import results
from semabs_ros.convert import rgb_to_image
from semabs_ros.frames import Source

COMPLETED, LOCALIZED, RELEVANCY, CLASSES = "completed", "localized", "relevancy", "classes"
"""The occasions on which something is published."""


@dataclass(frozen=True)
class Output:
    """One topic.

    Attributes:
        name: below the node's name.
        kind: message type.
        occasion: when it is published.
        make: what the occasion brings to a message.
        latched: keep the last message for those who come later; published even if nobody listens.
    """

    name: str
    kind: type
    occasion: str
    make: Callable[..., Any]
    latched: bool = False


def _relevancy_image(source: Source, maps: NDArray[np.float32], names: Sequence[str]) -> Image:
    return rgb_to_image(relevancy_mosaic(source.frame.rgb, maps, names), source.header)


def _region_cloud(answer: Localization, _wanted: Description, header: Header) -> PointCloud2:
    return results.localization_to_cloud(answer, header)


OUTPUTS = (
    Output("completion/markers", MarkerArray, COMPLETED, results.completion_to_markers),
    Output("completion/points", PointCloud2, COMPLETED, results.completion_to_cloud),
    Output("completion/voxels", SemanticVoxels, COMPLETED, results.completion_to_voxels),
    Output("relevancy/image", Image, RELEVANCY, _relevancy_image),
    Output("localization/markers", MarkerArray, LOCALIZED, results.localization_to_markers, True),
    Output("localization/points", PointCloud2, LOCALIZED, _region_cloud, True),
    Output("labels", Labels, CLASSES, results.labels_message, True),
)


class Outputs:
    """The publishers of a node.

    Args:
        node: owns them.
    """

    def __init__(self, node: Node) -> None:
        self._labelled: list[str] | None = None
        self._labelling = threading.RLock()
        self._topics = [
            (output, node.create_publisher(output.kind, f"~/{output.name}", _qos(output)))
            for output in OUTPUTS
        ]

    def wants(self, occasion: str) -> bool:
        """Whether anybody listens to what an occasion would publish."""
        return any(
            publisher.get_subscription_count()
            for output, publisher in self._topics
            if output.occasion == occasion
        )

    def publish(self, occasion: str, *brought: Any) -> None:
        """Publish what an occasion brings, where somebody listens or it is latched."""
        for output, publisher in self._topics:
            if output.occasion != occasion:
                continue
            if output.latched or publisher.get_subscription_count():
                publisher.publish(output.make(*brought))

    def completed(self, source: Source, completion: Completion) -> None:
        """A completion is done; what its labels mean is said first, where that is news."""
        header = results.world_header(source)
        with self._labelling:
            if completion.classes != self._labelled:
                self.labels(completion.classes, header)
            self.publish(COMPLETED, completion, header)

    def labels(self, classes: Sequence[str], header: Header) -> None:
        """What labels mean from now on."""
        with self._labelling:
            self.publish(CLASSES, classes, header)
            self._labelled = list(classes)

    def localized(self, source: Source, wanted: Description, answer: Localization) -> None:
        """A localization is done."""
        self.publish(LOCALIZED, answer, wanted, results.world_header(source))


def _qos(output: Output) -> QoSProfile:
    if output.latched:
        return QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    return QoSProfile(depth=1)
