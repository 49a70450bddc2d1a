"""One process's share of an evaluation: the rows of its scenes, split by split."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from torch.utils.data import DataLoader, Subset

from semabs_core.calibration import HIDDEN_KEY, MARGINS_KEY, SURFACE_KEY
from semabs_core.data.datasets import DATASETS, SceneDataset, input_options
from semabs_core.data.labels import read_synonyms
from semabs_core.data.relevancy_settings import common_settings, unlike_training
from semabs_core.data.splits import split_source
from semabs_core.data.text_features import TEXT_FEATURES_FILE
from semabs_core.evaluation.journal import RowJournal
from semabs_core.evaluation.rows import make_rows
from semabs_core.evaluation.scene import EvaluationOptions, evaluate_scene
from semabs_core.networks import SpatialNetwork
from semabs_core.training.distributed import Process
from semabs_core.weights.fingerprint import fingerprint

OnProgress = Callable[[str, int, int], None]
"""Called with the split, scenes done and scenes to do, of this process."""
JUDGED = ("cutoff", HIDDEN_KEY, SURFACE_KEY, MARGINS_KEY)
"""What the metrics as a robot is answered depend on, in a checkpoint's metadata."""
logger = logging.getLogger(__name__)


def evaluate_items(
    network: SpatialNetwork,
    items: Iterable[Mapping[str, Any]],
    split: str,
    options: EvaluationOptions | None = None,
    epoch: float = -1,
) -> Iterator[pd.DataFrame]:
    """Rows of each scene, one after the other.

    Args:
        network: on the device where to compute.
        items: items of the network's task, see :mod:`semabs_core.data.datasets`.
        split: goes into the rows.
        options: None for the defaults.
        epoch: goes into the rows.
    """
    options = options or EvaluationOptions()
    for item in items:
        metrics, names = evaluate_scene(network, item, options)
        yield make_rows(metrics, names, options.cutoffs, item["scene_id"], split, epoch)


@dataclass(frozen=True)
class SplitRows:
    """What one process found out about one split.

    Attributes:
        split: its name.
        rows: of each of the process's scenes.
        skipped: files that turned out to be of no use before, which every process counts.
        faults: scenes of the process that turned out to be damaged.
        unlike: how the relevancy differs from that of the network's training.
    """

    split: str
    rows: list[pd.DataFrame]
    skipped: int
    faults: list[str]
    unlike: list[str]


@dataclass(frozen=True)
class EvaluationRun:
    """What decides an evaluation's rows; see :func:`evaluate`."""

    network: SpatialNetwork
    data: Path
    preset: str
    num_input_points: int
    limit: int | None
    seed: int
    workers: int
    options: EvaluationOptions

    def identity(self) -> dict[str, Any]:
        """What a scene's rows depend on, besides its file."""
        options = {k: v for k, v in asdict(self.options).items() if k != "cache_mb"}
        return {
            "weights": fingerprint(self.network.state_dict()),
            "network": self.network.config.to_dict(),
            "epoch": self._epoch,
            "data": str(self.data.resolve()),
            "synonyms": read_synonyms(self.data),
            "text_features": self._text_state(),
            "preset": self.preset,
            "num_input_points": self.num_input_points,
            "seed": self.seed,
            "options": options,
            "answered": {key: self.network.metadata.get(key) for key in JUDGED},
        }

    def _text_state(self) -> list[int]:
        """Size and time of the text features, where they are what the network reads."""
        file = self.data / TEXT_FEATURES_FILE
        if self.network.config.approach != "semantic_aware" or not file.exists():
            return []
        state = file.stat()
        return [state.st_size, state.st_mtime_ns]

    @property
    def _epoch(self) -> float:
        return float(self.network.metadata.get("epoch", -1))

    def open_splits(self, splits: Sequence[str]) -> dict[str, SceneDataset]:
        """The data set of each split; all with relevancy that was made in one way.

        Raises:
            SceneFileError: if a split cannot be used, or their relevancy is a mixture.
        """
        config = self.network.config
        datasets = {
            split: DATASETS[config.task](
                self.data, split, config.approach, self.preset, self.num_input_points,
                seed=self.seed, source=split_source(split), full=True, **input_options(config),
            )
            for split in splits
        }  # fmt: skip
        common_settings({split: data.settings for split, data in datasets.items()}, self.data)
        return datasets

    def evaluate_split(
        self,
        split: str,
        dataset: SceneDataset,
        process: Process,
        journal: RowJournal,
        on_progress: OnProgress | None,
    ) -> SplitRows:
        """This process's share of a split; scenes that the journal holds are not done again."""
        skipped = dataset.skipped  # files; scenes that turn out damaged later come on top
        unlike = unlike_training(self.network.metadata, dataset.settings)
        if unlike and process.is_first:
            logger.warning(
                "the relevancy of split %s was made with other %s than that which the network was "
                "trained on: its answers are worth less", split, ", ".join(unlike),
            )  # fmt: skip
        own = range(min(len(dataset), self.limit or len(dataset)))[process.rank :: process.world]
        done = {index: journal.read(split, index, dataset.paths[index]) for index in own}
        todo = [index for index, rows in done.items() if rows is None]
        counter = _Counter(on_progress, split, len(own), len(own) - len(todo))
        faults = []
        for index, item in zip(todo, _load(dataset, todo, self.workers), strict=True):
            if "fault" in item:
                faults.append(item["fault"])
            else:
                (rows,) = evaluate_items(self.network, [item], split, self.options, self._epoch)
                done[index] = journal.add(split, index, dataset.paths[index], rows)
            counter()
        there = [rows for rows in done.values() if rows is not None]
        return SplitRows(split, there, skipped, faults, unlike)


class _Counter:
    """Counts scenes and reports them."""

    def __init__(self, report: OnProgress | None, split: str, total: int, done: int) -> None:
        self.report, self.split, self.total, self.done = report, split, total, done

    def __call__(self) -> None:
        self.done += 1
        if self.report:
            self.report(self.split, self.done, self.total)


def _load(dataset: SceneDataset, indices: Sequence[int], workers: int) -> DataLoader:
    """Items one by one, read ahead by worker processes."""
    return DataLoader(
        Subset(dataset, indices),
        batch_size=None,
        num_workers=min(workers, len(indices)),
        # As in training: a fork would inherit the locks of threads.
        multiprocessing_context="forkserver" if workers and len(indices) else None,
    )
