"""Summary tables, against tables worked out by hand."""

import csv
import io

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from semabs_core.evaluation.published import RowsError, published_figures
from semabs_core.evaluation.statistics import Resampler, interval, mean_of_results
from semabs_core.evaluation.summary import (
    NOVELTIES,
    NYU_CLASSES,
    SummaryOptions,
    choose_cutoff,
    summarize,
    summarize_nyu,
)
from semabs_core.evaluation.tables import Figure, FigureTable

METRIC = "voxel32x32x32_iou"
NAN = float("nan")


def completion_rows():
    """At the cutoff -1 the rows below; at -2 worse on the validation split, else better."""
    scenes = [
        ("validation", "room0", "bed", 0.6),
        ("train", "room9", "mug", 0.99),
        ("unseen_instances", "room1", "bed", 0.4),
        ("unseen_instances", "room1", "chair", 0.2),
        ("unseen_instances", "room1", "mug", 0.9),
        ("unseen_instances", "room2", "bed", 0.6),
        ("unseen_instances", "room2", "chair", NAN),
        ("unseen_instances_dr", "room3", "bed", 0.1),
        ("unseen_instances_dr", "room3", "pot", 0.1),
        ("unseen_instances_dr", "room4", "bed", 0.3),
        ("unseen_instances_dr", "room4", "chair", 0.5),
        ("unseen_instances_synonyms", "room5", "couch", 0.2),
        ("unseen_instances_synonyms", "room5", "bed", 0.9),
        ("unseen_instances_synonyms", "room5", "mug", 0.5),
        ("unseen_instances_synonyms", "room6", "couch", 0.4),
        ("unseen_instances_synonyms", "room6", "tv", 0.9),
    ]
    rows = pd.DataFrame(scenes, columns=["split", "scene_id", "label", METRIC]).assign(cutoff=-1.0)
    others = rows.assign(cutoff=-2.0)
    others[METRIC] = np.where(others["split"] == "validation", 0.2, 0.95)
    return pd.concat([others, rows], ignore_index=True)


COMPLETION = {
    "novel room": 45,  # room1: bed and chair, 0.3; room2: bed, 0.6
    "novel visual": 25,  # room3: bed, 0.1; room4: 0.4
    "novel vocab": 60,  # couch 0.3, tv 0.9
    "novel class": 40,  # mug in room1 and room5, 0.7; pot 0.1
}


def localization_rows():
    scenes = [
        ("unseen_instances", "room1", "book", "table", "on", 0.2),
        ("unseen_instances", "room1", "lamp", "table", "on", 0.4),
        ("unseen_instances", "room2", "book", "table", "on", 0.5),
        ("unseen_instances", "room2", "mug", "table", "on", 0.8),
        ("unseen_instances", "room1", "book", "box", "in", 0.6),
        ("unseen_instances_dr", "room3", "book", "table", "on", 0.3),
        ("unseen_instances_dr", "room3", "book", "pot", "on", 0.2),
        ("unseen_instances_synonyms", "room4", "book", "couch", "on", 0.1),
        ("unseen_instances_synonyms", "room4", "tv", "table", "on", 0.5),
        ("unseen_instances_synonyms", "room4", "book", "table", "on", 0.9),
    ]
    names = ["target_obj_name", "reference_obj_name", "spatial_relation_name"]
    rows = pd.DataFrame(scenes, columns=["split", "scene_id", *names, METRIC])
    return rows.assign(cutoff=-1.0)


LOCALIZATION = {
    # room1 0.3 and room2 0.5; room3; couch and tv; mug and pot
    "on": [40, 30, 30, 50],
    "in": [60, NAN, NAN, NAN],
    "behind": [NAN] * 4,
    "mean": [50, 30, 30, 50],
}


@pytest.mark.parametrize(("column", "expected"), COMPLETION.items())
def test_completion_by_hand(column, expected):
    table = summarize({"semantic_abstraction": completion_rows()})
    assert table.figure(column, "semantic_abstraction").value == pytest.approx(expected)
    assert table.lines[0][0] == ("semantic_abstraction", "-1")


@pytest.mark.parametrize(("relation", "expected"), LOCALIZATION.items())
def test_localization_by_hand(relation, expected):
    table = summarize({"clip_spatial": localization_rows()}, SummaryOptions(cutoff="test"))
    found = [table.figure(column, "clip_spatial", relation).value for column in NOVELTIES]
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize(("rule", "expected"), [("validation", -1), ("test", -2), (-2, -2)])
def test_cutoff_rules(rule, expected):
    assert choose_cutoff(completion_rows(), SummaryOptions(cutoff=rule)) == expected


def test_the_cutoff_of_training():
    rows = completion_rows()
    rows.attrs["cutoff"] = -2.0
    assert choose_cutoff(rows, SummaryOptions(cutoff="stored")) == -2.0
    del rows.attrs["cutoff"]
    with pytest.raises(RowsError, match="does not say which cutoff its checkpoint stores"):
        choose_cutoff(rows, SummaryOptions(cutoff="stored"))


@pytest.mark.parametrize(
    ("rows", "options", "error", "match"),
    [
        (localization_rows(), {}, RowsError, "it has no validation rows.*'test'"),
        (completion_rows(), {"cutoff": -3.0}, RowsError, "no rows of the cutoff -3"),
        (completion_rows(), {"cutoff": "best"}, ValueError, "validation, stored, test or a number"),
        (completion_rows(), {"metric": "point_iou"}, RowsError, "no column 'point_iou'"),
        (completion_rows().drop(columns="split"), {}, RowsError, "lacks the column.*split"),
    ],
)
def test_what_cannot_be_summarised(rows, options, error, match):
    with pytest.raises(error, match=match):
        summarize({"it": rows}, SummaryOptions(**options))


@pytest.mark.parametrize("rows", [{}, {"a": completion_rows(), "b": localization_rows()}])
def test_a_summary_is_of_one_task(rows):
    with pytest.raises(RowsError, match="rows of one task"):
        summarize(rows)


def test_novel_words_come_from_the_rows_or_the_options():
    rows = completion_rows()
    rows.attrs.update(novel_classes=["chair"], synonyms=["bed"])
    table = summarize({"a": rows})
    assert table.figure("novel room", "a").value == pytest.approx((65 + 60) / 2)
    assert table.figure("novel vocab", "a").value == pytest.approx(90)
    assert table.figure("novel class", "a").value == pytest.approx(35)
    table = summarize({"a": rows}, SummaryOptions(novel_classes=("tv",)))
    assert table.figure("novel class", "a").value == pytest.approx(90)


def test_names_are_compared_without_ids_and_case():
    rows = completion_rows()
    rows["label"] = rows["label"].replace({"mug": "Mug[3]", "pot": "pot[1]"})
    table = summarize({"a": rows})
    assert table.figure("novel class", "a").value == pytest.approx(COMPLETION["novel class"])


def test_nyu_by_hand():
    values = {"ceiling": 0.2, "tv": 0.4, "objects": 0.6, "lamp": 0.9}
    rows = pd.DataFrame(
        [
            ("test", "1", *label, -1.0)
            for label in [*values.items(), ("ceiling", 0.4), ("ceiling", NAN)]
        ],
        columns=["split", "scene_id", "label", "voxel60x60x60_iou", "cutoff"],
    )
    options = SummaryOptions(metric="voxel60x60x60_iou", cutoff="test", published=True)
    table = summarize_nyu({"here": rows}, options)
    assert table.columns == (*NYU_CLASSES, "mean")
    found = {name: table.figure(name, "here").value for name in table.columns}
    expected = {"ceiling": 30, "tvs": 40, "objs": 60, "mean": 130 / 3}
    assert {k: v for k, v in found.items() if not np.isnan(v)} == pytest.approx(expected)
    assert table.figure("bed", "Ours (Zeroshot)", "published").value == 33.3


def test_published_figures_stand_below_ours():
    chefer = completion_rows()
    chefer.attrs.update(approach="semantic_abstraction", preset="chefer_et_al")
    rows = {"semantic_abstraction": completion_rows(), "whole images": chefer}
    table = summarize(rows, SummaryOptions(published=True))
    assert [keys[:2] for keys, _ in table.lines] == [
        ("semantic_abstraction", "measured"),
        ("Ours", "published"),
        ("whole images", "measured"),
        ("SemAbs + [Chefer et al]", "published"),
        ("Semantic Aware", "published"),
    ]
    assert table.figure("novel class", "Ours").value == 37.9


def test_published_relations_stand_below_ours():
    options = SummaryOptions(cutoff="test", published=True)
    table = summarize({"clip_spatial": localization_rows()}, options)
    names = [keys[:3] for keys, _ in table.lines]
    assert names[0] == ("clip_spatial", "in", "measured")
    assert names[1] == ("ClipSpatial", "in", "published")
    assert names[12] == ("clip_spatial", "mean", "measured")
    assert table.figure("novel room", "ClipSpatial", "mean").value == 11.7
    assert len(names) == 14 + 3 * 7


def test_published_means_are_those_of_their_relations():
    """Our reading of the table: its ``mean`` row is the mean over the relations, rounded."""
    for name, lines in published_figures()["vool_thor"].items():
        if name != "columns":
            relations = [values for relation, values in lines.items() if relation != "mean"]
            np.testing.assert_allclose(np.mean(relations, axis=0), lines["mean"], atol=0.1)


def test_means_first_within_groups_or_scenes():
    resampler = Resampler(["a", "b"])
    scenes, values = ["a", "a", "b", "b"], np.array([1.0, 3, 8, NAN])
    assert resampler.mean(scenes, values) == pytest.approx(4)
    assert resampler.mean(scenes, values, within_scenes=True) == pytest.approx(5)
    assert resampler.mean(scenes, values, groups=["x", "y", "y", "x"]) == pytest.approx(3.25)
    assert np.isnan(resampler.mean([], np.array([])))


def test_intervals_are_as_wide_as_theory_says():
    rng = np.random.default_rng(0)
    values = np.repeat(rng.normal(size=200), 3)  # rows of a room are no independent evidence
    scenes = np.repeat(np.arange(200), 3)
    resampler = Resampler(scenes, replicates=4000, seed=1)
    low, high = interval(resampler.mean(scenes, values, within_scenes=True))
    half = 1.96 * values.std() / np.sqrt(200)
    np.testing.assert_allclose([low, high], values.mean() + np.array([-half, half]), atol=0.02)


def test_intervals_of_a_table():
    options = SummaryOptions(replicates=500, seed=3)
    tables = [summarize({"a": completion_rows()}, options) for _ in range(2)]
    figures = [table.figure("novel room", "a") for table in tables]
    assert figures[0] == figures[1], "the redrawings are seeded"
    assert figures[0].value == pytest.approx(45)
    assert figures[0].interval == pytest.approx((30, 60)), "either room may be drawn alone"


def test_one_room_has_no_interval():
    options = SummaryOptions(cutoff="test", replicates=50)
    table = summarize({"a": localization_rows()}, options)
    assert table.figure("novel room", "a", "on").interval is not None
    assert table.figure("novel room", "a", "in").interval is None, "only room1 has one"
    assert table.figure("novel room", "a", "mean").interval is None, "nor has a mean with it"


def test_a_mean_of_results_leaves_out_what_was_not_measured():
    results = [np.array([1.0, 2, NAN]), np.array([3.0, 4, 5]), np.array([NAN, 9, 9])]
    np.testing.assert_array_equal(mean_of_results(results), [2, 3, NAN])
    np.testing.assert_array_equal(mean_of_results(results[2:]), [NAN] * 3)


TABLE = FigureTable(
    "Title, IoU x 100",
    ("approach", "source"),
    ("novel room", "novel class"),
    (
        (("a|b", "ours"), (Figure(12.34, (10.0, 14.0)), Figure(NAN))),
        (("c", "published"), (Figure(1.0), Figure(2.0))),
    ),
)


def test_markdown():
    assert TABLE.to_markdown().splitlines() == [
        "**Title, IoU x 100**",
        "",
        "| approach | source | novel room | novel class |",
        "| --- | --- | ---: | ---: |",
        "| a\\|b | ours | 12.3 [10.0, 14.0] | - |",
        "| c | published | 1.0 | 2.0 |",
    ]


def test_csv():
    lines = list(csv.DictReader(io.StringIO(TABLE.to_csv())))
    assert lines[0]["approach"] == "a|b"
    assert lines[0]["novel room"] == "12.340"
    assert lines[0]["novel room high"] == "14.000"
    assert lines[0]["novel class"] == ""
    assert lines[1]["novel class"] == "2.000"
    assert lines[1]["novel class low"] == ""


def test_terminal():
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(TABLE.to_rich())
    text = console.export_text()
    assert "12.3 [10.0, 14.0]" in text
    assert "a|b" in text


@pytest.mark.parametrize("name", ["table.md", "table.csv"])
def test_saved_tables(name, tmp_path):
    TABLE.save(tmp_path / "new" / name)
    assert "novel class" in (tmp_path / "new" / name).read_text()
    assert not list(tmp_path.rglob("*.part"))


def test_tables_are_saved_as_markdown_or_csv(tmp_path):
    with pytest.raises(ValueError, match=r"\.md or \.csv, got table\.pdf"):
        TABLE.save(tmp_path / "table.pdf")


def test_networks_of_several_seeds_are_averaged():
    first, second = completion_rows(), completion_rows()
    second.loc[second["split"] != "validation", METRIC] /= 2
    second.attrs["cutoff"] = -2.0
    second["cutoff"] -= 0.5  # a network of its own, with a cutoff of its own
    one = summarize({"a": first, "b": second})
    both = summarize({"a": [first, second]}, SummaryOptions(replicates=50))
    for column in NOVELTIES:
        mean = (one.figure(column, "a").value + one.figure(column, "b").value) / 2
        assert both.figure(column, "a").value == pytest.approx(mean)
        assert both.figure(column, "a").interval is not None
    assert both.lines[0][0] == ("a", "-1, -1.5")


def better_rows(by):
    rows = completion_rows()
    rows[METRIC] += by
    return rows


def test_differences_have_the_intervals_of_the_differences():
    """The scenes differ by far more than the approaches: paired, the lead is certain."""
    tables = {"good": better_rows(0.1), "bad": completion_rows()}
    table = summarize(tables, SummaryOptions(replicates=200, against="good"))
    lead = table.figure("novel room", "good less bad")
    assert lead.value == pytest.approx(10)
    assert lead.interval == pytest.approx((10, 10))
    low, high = table.figure("novel room", "good").interval
    assert high - low > 1
    assert [texts[0] for texts, _ in table.lines] == ["good", "bad", "good less bad"]


def test_differences_need_the_approach_and_the_same_scenes():
    rows = completion_rows()
    with pytest.raises(RowsError, match="no rows of 'best', but of good"):
        summarize({"good": rows}, SummaryOptions(against="best"))
    fewer = rows[rows["scene_id"] != "room2"]
    with pytest.raises(RowsError, match="bad and good must be evaluated on the same scenes"):
        summarize({"good": rows, "bad": fewer}, SummaryOptions(against="good"))


def test_networks_of_an_approach_must_have_seen_the_same_scenes():
    rows = completion_rows()
    fewer = rows[rows["scene_id"] != rows["scene_id"].iloc[0]]
    with pytest.raises(RowsError, match="networks of a were not evaluated on the same scenes"):
        summarize({"a": [rows, fewer]})
