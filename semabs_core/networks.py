"""The five networks: completion and localization, by approach (arXiv 2207.11514, section 3).

Letters: B scenes, P labels or descriptions, N input points, M query points, C channels. Points are
in the scene frame. A network encodes points into volumes (the costly part, worth caching), samples
volumes at any query point (worth keeping where many labels are asked for at the same points) and
answers from the samples; ``forward`` does all of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from semabs_core.network_blocks import ImplicitDecoder, Pointer, VolumeEncoder, expect
from semabs_core.network_config import NetworkConfig
from semabs_core.voxels import (
    Cells,
    Corners,
    cells_of,
    corners_along,
    corners_of,
    grid_index,
    sample_volume,
    sampling_coordinates,
)


class SpatialNetwork(nn.Module):
    """What all networks share: the bounds, the virtual grid and the volume encoder."""

    lower: Tensor
    upper: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.metadata: dict[str, Any] = {}
        self.register_buffer("lower", torch.tensor(config.bounds[0]), persistent=False)
        self.register_buffer("upper", torch.tensor(config.bounds[1]), persistent=False)
        self.encoder = VolumeEncoder(config)

    def encode_volume(
        self,
        input_xyz: Tensor,
        features: Tensor,
        tsdf: Tensor | None = None,
        cells: Sequence[Cells] = (),
    ) -> Tensor:
        """Input points to one volume per label.

        Args:
            input_xyz: (B, N, 3) float32, scene frame.
            features: (B, P, N, F) of :func:`~semabs_core.network_config.point_features`.
            tsdf: (B, X, Y, Z) float32, for networks that read it.
            cells: of each scene's points, where they are known already.

        Returns:
            (B, P, C, X, Y, Z).
        """
        batch, points = expect("input_xyz", input_xyz, (None, None, 3)).shape[:2]
        width = self.config.point_width
        expect("features", features, (batch, None, points, width))
        if self.config.reads_tsdf:
            tsdf = expect("tsdf", tsdf, (batch, *self.config.voxel_shape))
        elif tsdf is not None:
            raise ValueError("this network reads no tsdf")
        places = cells or [self.cells(xyz) for xyz in input_xyz]
        return self.encoder(input_xyz, features, places, tsdf)

    def cells(self, xyz: Tensor) -> Cells:
        """The cells that the points (N, 3) of one scene are in; for all labels the same."""
        shape = self.config.voxel_shape
        return cells_of(grid_index(xyz, self.lower, self.upper, shape), shape)

    def coordinates(self, query_xyz: Tensor) -> Tensor:
        """Where query points (B, P, M, 3) are in the grid, in about [-1, 1] per axis."""
        shape = self.config.voxel_shape
        expect("query_xyz", query_xyz, (None, None, None, 3))
        index = grid_index(query_xyz, self.lower, self.upper, shape)
        return sampling_coordinates(index, shape, self.config.sampling)

    def sample(self, volume: Tensor, coordinates: Tensor) -> Tensor:
        """Sample volumes (B, P or 1, C, X, Y, Z) at coordinates (B, P, M, 3): (B, P, M, C)."""
        batch, volumes, channels = volume.shape[:3]
        labels, queries = expect("coordinates", coordinates, (batch, None, None, 3)).shape[1:3]
        if volumes not in (1, labels):
            raise ValueError(f"there are {volumes} volumes but queries for {labels} labels")
        samples = sample_volume(
            volume.flatten(0, 1),
            coordinates.reshape(batch * volumes, -1, 3),
            self.config.sampling,
        )
        return samples.reshape(batch, labels, queries, channels)

    def corners(self, query_xyz: Tensor) -> Corners:
        """What sampling reads at query points (M, 3) of one scene; for all volumes the same."""
        coordinates = self.coordinates(query_xyz[None, None])[0, 0]
        return corners_of(coordinates, self.config.voxel_shape, self.config.sampling)

    def corners_of_axes(self, axes: Tensor) -> list[Corners]:
        """The shares of x, y and z in the corners of a grid of query points.

        Args:
            axes: (3, R) float32, coordinates along x, y and z, scene frame.
        """
        coordinates = self.coordinates(axes.T[None, None])[0, 0].unbind(-1)
        shape, sampling = self.config.voxel_shape, self.config.sampling
        return [corners_along(i, along, shape, sampling) for i, along in enumerate(coordinates)]


class CompletionNetwork(SpatialNetwork):
    """OVSSC by semantic abstraction: the relevancy of a label to the occupancy of that label."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        self.decoder = ImplicitDecoder(config.channels, 1, config.concat_xyz)

    def decode(
        self, volume: Tensor, query_xyz: Tensor, label_features: Tensor | None = None
    ) -> Tensor:
        """Volumes (B, P or 1, C, X, Y, Z) at queries (B, P, M, 3): logits (B, P, M)."""
        coordinates = self.coordinates(query_xyz)
        return self.answer(self.sample(volume, coordinates), coordinates, label_features)

    def answer(
        self, samples: Tensor, coordinates: Tensor, label_features: Tensor | None = None
    ) -> Tensor:
        """Samples (B, P, M, C) at coordinates (B, P, M, 3) to logits (B, P, M)."""
        return self.decoder([samples], coordinates)[..., 0]

    def answer_together(self, samples: Tensor, text: Sequence[Sequence[Tensor]]) -> Tensor:
        """Samples (M, V * C) of a table, which are changed, to logits (M, L) of L labels.

        Args:
            samples: of what the decoder's first layer makes of V volumes, see
                :func:`semabs_core.answering.table_of`: one per label, or one that all share.
            text: per label, what the network reads of it besides: nothing, or (1, 1, D).
        """
        return self.decoder.finish(samples.unflatten(1, (-1, self.config.channels)))[..., 0]

    def forward(
        self,
        input_xyz: Tensor,
        input_features: Tensor,
        query_xyz: Tensor,
        label_features: Tensor | None = None,
        tsdf: Tensor | None = None,
    ) -> Tensor:
        """Logit per query point that the label occupies it.

        Args:
            input_xyz: (B, N, 3) float32, scene frame.
            input_features: (B, P, N, F) of :func:`~semabs_core.network_config.point_features`;
                for ``semantic_aware`` (B, 1, N, 3) RGB in 0..1, one cloud for all labels.
            query_xyz: (B, P, M, 3) float32, scene frame.
            label_features: (B, P, D), normalised text features; ``semantic_aware`` only.
            tsdf: (B, X, Y, Z) float32, for networks that read it.

        Returns:
            (B, P, M) logits.
        """
        volume = self.encode_volume(input_xyz, input_features, tsdf)
        return self.decode(volume, query_xyz, label_features)


class SemanticAwareCompletion(CompletionNetwork):
    """The OVSSC baseline: RGB to text-aligned features, compared with each label's text feature."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        self.decoder = ImplicitDecoder(config.channels, config.text_dim, config.concat_xyz)
        self.pointer = Pointer(config.pointing_method, config.text_dim)

    def answer(
        self, samples: Tensor, coordinates: Tensor, label_features: Tensor | None = None
    ) -> Tensor:
        batch, labels = coordinates.shape[:2]
        query = expect("label_features", label_features, (batch, labels, self.config.text_dim))
        return self.pointer(self.decoder([samples], coordinates), query)

    def answer_together(self, samples: Tensor, text: Sequence[Sequence[Tensor]]) -> Tensor:
        features = self.decoder.finish(samples)
        return torch.stack([self.pointer(features, query[0, 0]) for (query,) in text], dim=1)


def relation_table(config: NetworkConfig) -> nn.Parameter:
    """A learned vector per relation of the config, and one for padding: (R + 1, d)."""
    return nn.Parameter(torch.randn(len(config.relation_tokens), config.pointing_dim))


class LocalizationNetwork(SpatialNetwork):
    """VOOL by semantic abstraction: volumes of target and reference, pointed at by a relation."""

    feature_keys: tuple[str, ...] = ("target", "reference")

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        self.build(config)

    def build(self, config: NetworkConfig) -> None:
        """Make what the approach needs beyond the volume encoder."""
        self.relations = relation_table(config)
        self.decoder = ImplicitDecoder(2 * config.channels, config.pointing_dim, config.concat_xyz)
        self.pointer = Pointer(config.pointing_method, config.pointing_dim)

    def encode(
        self, input_xyz: Tensor, features: Mapping[str, Tensor], tsdf: Tensor | None = None
    ) -> dict[str, Tensor]:
        """The volumes (B, P, C, X, Y, Z) of each of ``feature_keys``."""
        missing = [key for key in self.feature_keys if key not in features]
        if missing:
            raise ValueError(
                f"{self.config.approach} localization reads the features "
                f"{', '.join(self.feature_keys)}; missing: {', '.join(missing)}"
            )
        return {
            key: self.encode_volume(input_xyz, features[key], tsdf) for key in self.feature_keys
        }

    def relation_vectors(self, relations: Sequence[Sequence[str]]) -> Tensor:
        """Names (B x P) to learned vectors (B, P, d)."""
        tokens = self.config.relation_tokens
        for relation in (name for row in relations for name in row):
            if relation not in tokens:
                known = ", ".join(self.config.relations)
                raise ValueError(f"unknown relation {relation!r}; known are {known}")
        rows = [[tokens.index(name) for name in row] for row in relations]
        return self.relations[torch.tensor(rows, device=self.relations.device)]

    def decode(
        self,
        volumes: Mapping[str, Tensor],
        query_xyz: Tensor,
        relations: Sequence[Sequence[str]],
        target_features: Tensor | None = None,
        reference_features: Tensor | None = None,
    ) -> Tensor:
        """Volumes (B, P or 1, C, X, Y, Z) at queries (B, P, M, 3): logits (B, P, M)."""
        coordinates = self.coordinates(query_xyz)
        samples = {key: self.sample(volumes[key], coordinates) for key in self.feature_keys}
        return self.answer(samples, coordinates, relations, target_features, reference_features)

    def answer(
        self,
        samples: Mapping[str, Tensor],
        coordinates: Tensor,
        relations: Sequence[Sequence[str]],
        target_features: Tensor | None = None,
        reference_features: Tensor | None = None,
    ) -> Tensor:
        """Samples (B, P, M, C) of each volume at coordinates (B, P, M, 3) to logits (B, P, M)."""
        features = self.decoder([samples["target"], samples["reference"]], coordinates)
        return self.pointer(features, self.relation_vectors(relations))

    def forward(
        self,
        input_xyz: Tensor,
        features: Mapping[str, Tensor],
        query_xyz: Tensor,
        relations: Sequence[Sequence[str]],
        target_features: Tensor | None = None,
        reference_features: Tensor | None = None,
        tsdf: Tensor | None = None,
    ) -> Tensor:
        """Logit per query point that the described target is there.

        Args:
            input_xyz: (B, N, 3) float32, scene frame.
            features: as the approach wants, ``{"target", "reference"}`` (B, P, N, 1) relevancy,
                ``{"rgb"}`` (B, P or 1, N, 3) in 0..1, or ``{"description"}`` (B, P, N, 1).
            query_xyz: (B, P, M, 3) float32, scene frame.
            relations: B rows of P names out of ``config.relation_tokens``.
            target_features: (B, P, D) text encodings of the bare names; ``semantic_aware`` only.
            reference_features: the same for the references.
            tsdf: (B, X, Y, Z) float32, for networks that read it.

        Returns:
            (B, P, M) logits.
        """
        volumes = self.encode(input_xyz, features, tsdf)
        return self.decode(volumes, query_xyz, relations, target_features, reference_features)


class SemanticAwareLocalization(LocalizationNetwork):
    """The VOOL baseline that reads RGB and the text encodings of target and reference."""

    feature_keys = ("rgb",)

    def build(self, config: NetworkConfig) -> None:
        self.relations = relation_table(config)
        # The published inner decoder, which this approach uses, never reads coordinates.
        self.decoder = ImplicitDecoder(config.channels, config.pointing_dim, concat_xyz=False)
        self.query = nn.Linear(2 * config.text_dim + config.pointing_dim, config.pointing_dim)
        self.pointer = Pointer(config.pointing_method, config.pointing_dim)

    def answer(
        self,
        samples: Mapping[str, Tensor],
        coordinates: Tensor,
        relations: Sequence[Sequence[str]],
        target_features: Tensor | None = None,
        reference_features: Tensor | None = None,
    ) -> Tensor:
        shape = (*coordinates.shape[:2], self.config.text_dim)
        words = [
            expect("target_features", target_features, shape),
            expect("reference_features", reference_features, shape),
            self.relation_vectors(relations),
        ]
        features = self.decoder([samples["rgb"]], coordinates)
        return self.pointer(features, self.query(torch.cat(words, dim=-1)))


class ClipSpatialLocalization(LocalizationNetwork):
    """The VOOL baseline that reads the relevancy of the whole sentence."""

    feature_keys = ("description",)

    def build(self, config: NetworkConfig) -> None:
        self.decoder = ImplicitDecoder(config.channels, 1, config.concat_xyz)

    def answer(
        self,
        samples: Mapping[str, Tensor],
        coordinates: Tensor,
        relations: Sequence[Sequence[str]],
        target_features: Tensor | None = None,
        reference_features: Tensor | None = None,
    ) -> Tensor:
        return self.decoder([samples["description"]], coordinates)[..., 0]


NETWORKS: dict[tuple[str, str], type[SpatialNetwork]] = {
    ("completion", "semantic_abstraction"): CompletionNetwork,
    ("completion", "semantic_aware"): SemanticAwareCompletion,
    ("localization", "semantic_abstraction"): LocalizationNetwork,
    ("localization", "semantic_aware"): SemanticAwareLocalization,
    ("localization", "clip_spatial"): ClipSpatialLocalization,
}


def build_network(config: NetworkConfig) -> SpatialNetwork:
    """A freshly initialised network for a config."""
    return NETWORKS[config.task, config.approach](config)
