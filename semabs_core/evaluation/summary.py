"""Summary tables as in the paper (arXiv 2207.11514): IoU x 100 by approach and kind of novelty.

Each approach gets one cutoff. *Novel room* and *novel visual* are means over rooms of the splits
``unseen_instances`` and ``unseen_instances_dr`` without novel classes; *novel vocab* is of the
synonyms in ``unseen_instances_synonyms``, *novel class* of the novel classes in all test splits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from semabs_core.data.labels import PUBLISHED_SYNONYMS
from semabs_core.data.scene_data import class_name
from semabs_core.evaluation.metrics import PUBLISHED_CUTOFFS
from semabs_core.evaluation.published import RowsError, published_figures
from semabs_core.evaluation.rows import NAME_COLUMNS, task_of
from semabs_core.evaluation.statistics import Resampler, mean_of_results
from semabs_core.evaluation.tables import Figure, FigureTable
from semabs_core.network_config import RELATIONS

NOVELTIES = ("novel room", "novel visual", "novel vocab", "novel class")
NOVEL_CLASSES = ("pot", "mug", "safe", "teddy bear", "basket ball", "wine bottle")
"""The published ones."""
NYU_CLASSES = (
    "ceiling", "floor", "wall", "window", "chair", "bed", "sofa", "table", "tvs", "furn", "objs"
)  # fmt: skip
NYU_ALIASES = {
    "tv": "tvs", "television": "tvs", "furniture": "furn", "object": "objs", "objects": "objs"
}  # fmt: skip
NOT_TESTED = ("train", "validation")
"""Splits that no figure is of."""
_PUBLISHED_NAMES = {
    ("semantic_abstraction", "ours"): "Ours",
    ("semantic_abstraction", "chefer_et_al"): "SemAbs + [Chefer et al]",
    ("semantic_aware", ""): "Semantic Aware",
    ("clip_spatial", ""): "ClipSpatial",
}


@dataclass(frozen=True)
class SummaryOptions:
    """What is summarised, and how.

    Attributes:
        metric: the rows' column.
        cutoff: ``validation`` (best mean on the validation split), ``stored`` (the
            checkpoint's own, of training or ``semabs calibrate``), ``test`` (the published rule:
            best mean over all test rows, which flatters), or a logit.
        novel_classes: names that no training scene had; None for what the rows were stored with,
            else the published ones.
        synonyms: names that stand in for trained ones; None as above.
        published: whether the published figures are put beside ours.
        replicates: redrawings of the scenes for 95 % intervals, which are those of other scenes for
            these very networks, not of other trainings; 0 for none.
        seed: of the redrawings.
        against: an approach; how much it is above each of the others follows, with the intervals
            of the differences in the same redrawings. Empty for none.
    """

    metric: str = "voxel32x32x32_iou"
    cutoff: str | float = "validation"
    novel_classes: tuple[str, ...] | None = None
    synonyms: tuple[str, ...] | None = None
    published: bool = False
    replicates: int = 0
    seed: int = 0
    against: str = ""


def choose_cutoff(rows: pd.DataFrame, options: SummaryOptions, name: str = "rows") -> float:
    """The cutoff of an approach, by the options' rule; of equally good ones the lowest.

    Raises:
        RowsError: if there are no rows to choose on.
    """
    wanted: Any = options.cutoff
    if wanted == "stored":
        wanted = rows.attrs.get("cutoff")
        if wanted is None:
            raise RowsError(
                f"{name} does not say which cutoff its checkpoint stores; take the cutoff rule "
                "'validation', or a number"
            )
    if isinstance(wanted, int | float):
        found = rows["cutoff"][np.isclose(rows["cutoff"], wanted, atol=1e-6)]
        if found.empty:
            raise RowsError(f"{name} has no rows of the cutoff {wanted:g}")
        return float(found.iloc[0])
    rules = {
        "validation": rows["split"] == "validation",
        "test": ~rows["split"].isin(NOT_TESTED),
    }
    if options.cutoff not in rules:
        raise ValueError(
            f"cutoff must be validation, stored, test or a number, got {options.cutoff!r}"
        )
    chosen = rows[rules[options.cutoff]]
    if options.cutoff == "test":
        chosen = chosen[chosen["cutoff"] <= max(PUBLISHED_CUTOFFS) + 1e-6]
    means = chosen.groupby("cutoff")[options.metric].mean()
    if means.isna().all():
        raise RowsError(
            f"{name} has no {options.cutoff} rows to choose a cutoff on: evaluate the validation "
            "split too, or take the cutoff rule 'test' (as published) or a number"
        )
    return float(means.index[int(np.nanargmax(means.to_numpy(float)))])


def _plain(name: str) -> str:
    """A name as it is compared: ``Mug[3]`` is ``mug``."""
    return class_name(str(name)).strip().lower()


def _any_of(rows: pd.DataFrame, task: str, names: Iterable[str]) -> NDArray[np.bool_]:
    """Which rows' label (or target or reference) is one of the names."""
    wanted = {_plain(name) for name in names}
    columns = NAME_COLUMNS[task][:2]
    return np.any([rows[column].map(_plain).isin(wanted) for column in columns], axis=0)


def _check_scenes(networks: list[pd.DataFrame], name: str) -> None:
    """Raise :class:`RowsError` unless all networks of an approach saw the same scenes."""
    seen = [set(zip(rows["split"], rows["scene_id"], strict=True)) for rows in networks]
    if different := next((scenes for scenes in seen if scenes != seen[0]), None):
        split, scene = sorted(different ^ seen[0])[0]
        raise RowsError(
            f"the networks of {name} were not evaluated on the same scenes: not all have {scene} "
            f"of {split}; evaluate them on the same splits, without --limit"
        )


class Approach:
    """The test rows of one approach, of each of its networks at its own cutoff."""

    def __init__(self, networks: list[pd.DataFrame], name: str, options: SummaryOptions) -> None:
        task, tested, cutoffs = task_of(networks[0], name), [], []
        _check_scenes(networks, name)
        for rows in networks:
            if options.metric not in rows.columns:
                raise RowsError(
                    f"{name} has no column {options.metric!r}: evaluate again, with that grid"
                )
            cutoff = choose_cutoff(rows, options, name)
            cutoffs.append(f"{cutoff:g}")
            tested.append(rows[(rows["cutoff"] == cutoff) & ~rows["split"].isin(NOT_TESTED)])
        self.cutoff = ", ".join(cutoffs)
        stored = networks[0].attrs
        rows = pd.concat(tested, ignore_index=True)
        self.rows, self.task, self.metric = rows, task, options.metric
        novel = options.novel_classes or stored.get("novel_classes", NOVEL_CLASSES)
        synonyms = options.synonyms or stored.get("synonyms", PUBLISHED_SYNONYMS.values())
        self.novel = _any_of(rows, task, novel)
        self.synonym = _any_of(rows, task, synonyms)
        self.resampler = Resampler(rows["scene_id"], options.replicates, options.seed)

    def mean(self, chosen: NDArray[np.bool_], over: str = "rows") -> NDArray[np.float64]:
        """Mean x 100 of the chosen rows over ``rooms``, ``labels`` or ``rows``: (1 + R,)."""
        rows = self.rows[chosen]
        groups = rows["label"].map(_plain) if over == "labels" else None
        values = rows[self.metric].to_numpy(float) * 100
        return self.resampler.mean(rows["scene_id"], values, groups, over == "rooms")

    def novelties(self, chosen: NDArray[np.bool_] | bool = True) -> list[NDArray[np.float64]]:
        """The results of the four columns, of the chosen rows."""
        split = self.rows["split"].to_numpy()
        over = "labels" if self.task == "completion" else "rows"
        synonyms = (split == "unseen_instances_synonyms") & self.synonym
        return [
            self.mean((split == "unseen_instances") & ~self.novel & chosen, "rooms"),
            self.mean((split == "unseen_instances_dr") & ~self.novel & chosen, "rooms"),
            self.mean(synonyms & chosen, over),
            self.mean(self.novel & chosen, over),
        ]

    def completion(self) -> dict[str, list[NDArray[np.float64]]]:
        return {"": self.novelties()}

    def localization(self) -> dict[str, list[NDArray[np.float64]]]:
        relation = self.rows["spatial_relation_name"].to_numpy()
        names = [*RELATIONS, *sorted(set(relation) - set(RELATIONS))]
        return _with_mean({name: self.novelties(relation == name) for name in names})

    def nyu(self) -> dict[str, list[NDArray[np.float64]]]:
        label = self.rows["label"].map(_plain).replace(NYU_ALIASES).to_numpy()
        classes = [self.mean(label == name) for name in NYU_CLASSES]
        return {"": [*classes, mean_of_results(classes)]}


Results = dict[str, list[NDArray[np.float64]]]
"""Of an approach: relation (or nothing) to the results of all columns."""
Lines = list[tuple[tuple[str, ...], tuple[Figure, ...]]]


def _with_mean(relations: Results) -> Results:
    """The results of relations, and the mean over them."""
    columns = zip(*relations.values(), strict=True)
    return relations | {"mean": [mean_of_results(column) for column in columns]}


def _own_lines(name: str, cutoff: str, results: Results) -> Lines:
    """An approach's lines: name, (relation,) source, cutoff, figures."""
    return [
        (
            (name, *filter(None, [part]), "measured", cutoff),
            tuple(map(Figure.of, columns)),
        )
        for part, columns in results.items()
    ]


def _published_lines(table: str, name: str) -> Lines:
    """The published figures of an approach in the same form; none if it is not in that table."""
    figures = published_figures()[table].get(name, {})
    parts = figures if isinstance(figures, dict) else {"": figures}
    order = [part for part in ("", *RELATIONS, "mean") if part in parts]
    return [
        ((name, *filter(None, [part]), "published", ""), tuple(map(Figure, parts[part])))
        for part in order
    ]


def _difference_lines(
    approaches: Mapping[str, Approach], results: Mapping[str, Results], against: str
) -> Lines:
    """The last lines of a table: how much an approach is above each of the others.

    Raises:
        RowsError: if another approach was evaluated on other scenes.
    """
    scenes = approaches[against].resampler.scenes
    lines: Lines = []
    for name in results:
        if name == against:
            continue
        if not approaches[name].resampler.scenes.equals(scenes):
            raise RowsError(f"{name} and {against} must be evaluated on the same scenes")
        differences = {
            part: [mine - other for mine, other in zip(columns, results[name][part], strict=True)]
            for part, columns in results[against].items()
            if part in results[name]
        }
        if differences.pop("mean", None):
            differences = _with_mean(differences)  # over the relations that both have
        lines += _own_lines(f"{against} less {name}", "", differences)
    return lines


def published_name(name: str, rows: pd.DataFrame) -> str:
    """The paper's name of an approach, by its own name or by what its rows say they are of."""
    approach = str(rows.attrs.get("approach", name))
    preset = str(rows.attrs.get("preset", "ours")) if approach == "semantic_abstraction" else ""
    return _PUBLISHED_NAMES.get((approach, preset), name)


Rows = pd.DataFrame | Sequence[pd.DataFrame]
"""Those of a network, or of several that differ by their seed: the means are over all of them."""


def _networks(rows: Rows) -> list[pd.DataFrame]:
    return [rows] if isinstance(rows, pd.DataFrame) else list(rows)


def _tabulate(
    rows: Mapping[str, Rows],
    options: SummaryOptions,
    table: str,
    title: str,
    lines_of: Callable[[Approach], Results],
) -> FigureTable:
    """The lines of every approach, each with its published counterpart below."""
    if options.against and options.against not in rows:
        raise RowsError(f"there are no rows of {options.against!r}, but of {', '.join(rows)}")
    lines: Lines = []
    approaches: dict[str, Approach] = {}
    results: dict[str, Results] = {}
    left = [name for name in published_figures()[table] if name != "columns"]
    for name, table_rows in rows.items():
        networks = _networks(table_rows)
        approaches[name] = approach = Approach(networks, name, options)
        results[name] = lines_of(approach)
        own = _own_lines(name, approach.cutoff, results[name])
        paper = published_name(name, networks[0])
        theirs = _published_lines(table, paper) if options.published and paper in left else []
        left = [other for other in left if not (theirs and other == paper)]
        for number, line in enumerate(own):
            lines += [line, *theirs[number : number + 1]]
    if options.published:
        lines += [line for name in left for line in _published_lines(table, name)]
    if options.against:
        lines += _difference_lines(approaches, results, options.against)
    parts = ("relation",) if table.startswith("vool") else ()
    columns = (*NYU_CLASSES, "mean") if table == "ovssc_nyu" else NOVELTIES
    keys = ("approach", *parts, "source", "cutoff")
    if not options.published:  # then there is but one source
        keys = (*keys[:-2], keys[-1])
        lines = [((*texts[:-2], texts[-1]), figures) for texts, figures in lines]
    return FigureTable(f"{title}, {options.metric} x 100", keys, columns, tuple(lines))


def summarize(rows: Mapping[str, Rows], options: SummaryOptions | None = None) -> FigureTable:
    """The table of completion or of localization.

    Args:
        rows: approach to its rows, or to those of its networks; all of one task.
        options: None for the defaults.

    Raises:
        RowsError: if rows are missing or of different tasks.
    """
    tasks = {task_of(table, name) for name, tables in rows.items() for table in _networks(tables)}
    if len(tasks) != 1:
        raise RowsError(
            "a summary needs rows of one task, got " + (" and ".join(sorted(tasks)) or "none")
        )
    options = options or SummaryOptions()
    if tasks == {"completion"}:
        return _tabulate(rows, options, "ovssc_thor", "Completion", Approach.completion)
    return _tabulate(rows, options, "vool_thor", "Localization", Approach.localization)


def summarize_nyu(rows: Mapping[str, Rows], options: SummaryOptions | None = None) -> FigureTable:
    """NYU's table: mean IoU over the scenes of each of its eleven classes, and their mean."""
    options = options or SummaryOptions(metric="voxel60x60x60_iou")
    return _tabulate(rows, options, "ovssc_nyu", "Completion of NYU", Approach.nyu)


def published_tables() -> list[FigureTable]:
    """The published tables alone: completion, localization, completion of NYU."""
    tables = (
        ("ovssc_thor", "Completion", Approach.completion),
        ("vool_thor", "Localization", Approach.localization),
        ("ovssc_nyu", "Completion of NYU", Approach.nyu),
    )
    return [_tabulate({}, SummaryOptions(published=True), *table) for table in tables]
