"""What a run reads: the data set of its task, and what users of the weights need to know of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from semabs_core.data.datasets import DATASETS, collate, input_options
from semabs_core.data.relevancy_settings import common_settings
from semabs_core.data.splits import read_splits
from semabs_core.training.config import TrainingConfig


@dataclass(frozen=True)
class TrainingData:
    """What a run reads.

    Attributes:
        items: data set whose items depend on (seed, epoch, index) alone; has
            ``set_epoch`` and ``text_dim``, the width of its text features.
        collate: training items to a batch.
        validation: validation items of whole scenes, whose rows share their query points; None for
            no validation.
        metadata: JSON values that go into the checkpoints: how the relevancy was made.
    """

    items: Any
    collate: Callable[[list], dict]
    validation: Any = None
    metadata: dict[str, Any] = field(default_factory=dict)


def open_data(config: TrainingConfig) -> TrainingData:
    """The data set in ``config.data``, for the task and approach of ``config.network``.

    Raises:
        SceneFileError: if there is no such split, nothing in it can be used, or its relevancy was
            not all made in one way.
    """
    options, network = config.data, config.network
    dataset = DATASETS[network.task]
    common: dict[str, Any] = {
        "folder": options.folder,
        "approach": network.approach,
        "preset": options.preset,
        "num_input_points": options.num_input_points,
        "num_query_points": options.num_query_points,
        "num_labels": options.num_labels,
        "seed": config.seed,
        **input_options(network),
    }
    items = dataset(
        split=options.split,
        augment=options.augment,
        source=options.source,
        records=options.records,
        absent_share=options.absent_share,
        outside_is_empty=options.outside_is_empty,
        whole_cells=options.whole_cells,
        **common,
    )
    validation = None
    if options.validation_split in read_splits(options.folder, network.task):
        validation = dataset(split=options.validation_split, full=True, **common)
        if not options.records:
            common_settings(
                {options.split: items.settings, options.validation_split: validation.settings},
                options.folder,
            )
    settings = items.settings
    metadata = {"preset": options.preset, **(asdict(settings) if settings else {})}
    if options.records:
        for name in ("encoder", "fingerprint", "text_dim", "prompts"):
            metadata.pop(name, None)  # made for any encoder, with the prompts that suit it
        metadata["records"] = list(options.records)
    return TrainingData(items, collate, validation, metadata)


def fit_text_width(config: TrainingConfig, data: TrainingData) -> TrainingConfig:
    """The config with the data's width of text features, which the data's encoder decides."""
    return replace(config, network=replace(config.network, text_dim=data.items.text_dim))
