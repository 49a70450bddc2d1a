"""Rows: Parquet round trips, and published pickles, which must not run code."""

import base64
import os
import pickle
import zlib

import numpy as np
import pandas as pd
import pytest

from semabs_core.evaluation.published import RowsError, read_pickled_frame
from semabs_core.evaluation.rows import join_rows, make_rows, read_rows, save_rows

PUBLISHED_PICKLE = (
    "eNqFU81u1DAQ3myStvyIskJAkRBCnMqBldpekACtyiIkiNiK3ivjJN51VMeJYoduJSrgQH8k3zq8Tx+BR+AROHKDsb"
    "MrtnQRTuQZO/PzfZOZT8HXZ0HLLdMpqUyp6iZFxbrDiuYMzKUXVNOXTj+Fh5/hAFZNQPJRBeberHkmNaskFaqbU0lH"
    "rFJgrj4XRbL7pjmju7k18SAii9UfFzDLpJZlluwKRmLrY41vyjov95voeS10RquK7mNUUrGkkEpXdaKtYegMwSxibG"
    "dyClHrC/S9GI5gG1YjL/Kj4BD4sglTvV9aJqY9fAwnx81333hPYTAYvP6Fy21RS0N80n/XFOZ7b778+bGR33rz5Y+J"
    "DM423PLPhm61z6b3gGnMUlxnSE9iHUIlssTii9pRGHkWXtS2O7/Cr/GOpcVvTEl5jtSKaWczVPjdeUTu+03G1r+kBc"
    "IfYM6F/2X1p1m3zhXww18F7Nm8O9gsYVUU+RrwHu81+joYP69HwDf5pvFjloK5XkvFmCRYA01lwhTwvn2YRXURAR4e"
    "nfRXJtBb3kQuzHBp8B+BRbByvk9TNmaqG1OF3X2ZSLZHXtk7LDrfMuFUd32eYu/DRQCLeHjiyC2phElGMuQQChozgQ"
    "NTFtjYJCtqMJ33xZiJjfWxe5u7haTWxXCIDqwsEm7/eSkyDZarCaQdtEF9aIv/1tyZh7yicmShb1s5A5cnA4ylaaWx"
    "/U2gdFFCFFiFoeK5mMxuOL84BYjU0puOOcmZpo7vDkKiWuMAHyBaMhR05NTbVIhiT5G0RrwJ1Yw4xgqOVR13fwPVS4"
    "Ym"
)
"""Compressed: four rows by ``DataFrame.to_pickle`` of pandas 1.4.2, as of the published code."""


def some_rows():
    metrics = {"point_iou": np.array([[0.5, np.nan], [0.0, 1.0]])}
    return make_rows(metrics, {"label": ["mug", "bed"]}, (-1.0, -0.5), "room1", "validation", 2.5)


def test_rows_by_hand():
    assert some_rows().to_dict("list") == {
        "scene_id": ["room1"] * 4,
        "label": ["mug", "mug", "bed", "bed"],
        "point_iou": [0.5, pytest.approx(np.nan, nan_ok=True), 0.0, 1.0],
        "cutoff": [-1.0, -0.5, -1.0, -0.5],
        "epoch": [2.5] * 4,
        "split": ["validation"] * 4,
    }


def test_parquet_round_trip(tmp_path):
    rows = some_rows()
    rows.attrs.update(approach="semantic_aware", skipped={"validation": 1})
    file = tmp_path / "new" / "rows.parquet"
    save_rows(rows, file)
    back = read_rows(file)
    pd.testing.assert_frame_equal(back, rows, check_dtype=False)
    assert back.attrs == rows.attrs
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".pkl"])
def test_the_suffix_says_how_rows_are_written(suffix, tmp_path):
    file = tmp_path / f"rows{suffix}"
    save_rows(some_rows(), file)
    pd.testing.assert_frame_equal(read_rows(file), some_rows(), check_dtype=False)
    other = tmp_path / "rows.xlsx"
    with pytest.raises(RowsError, match=r"written as \.parquet, \.csv, \.pkl, got .*rows\.xlsx"):
        save_rows(some_rows(), other)
    with pytest.raises(RowsError, match=r"read from \.parquet, \.csv, \.pkl, got .*rows\.xlsx"):
        read_rows(other)
    assert not other.exists()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda rows: rows.iloc[:0], "has no rows"),
        (
            lambda rows: pd.concat([rows, rows.iloc[1:2]]),
            r"1 rows twice, such as that of room1, mug",
        ),
        (lambda rows: rows.assign(point_iou="good"), r"numbers in the column\(s\) point_iou"),
        (lambda rows: rows.assign(cutoff=np.nan), r"numbers in the column\(s\) cutoff"),
        (lambda rows: rows.drop(columns="split"), r"lacks the column\(s\) split"),
    ],
)
@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_tables_that_would_give_wrong_means_are_refused(change, match, suffix, tmp_path):
    file = tmp_path / f"rows{suffix}"
    save_rows(change(some_rows()), file)
    with pytest.raises(RowsError, match=match):
        read_rows(file)


def test_joined_rows_are_sorted_and_may_be_empty():
    rows = some_rows()
    shuffled = rows.sample(frac=1, random_state=0)
    joined = join_rows([shuffled.iloc[:2], rows.iloc[:0], shuffled.iloc[2:]], "completion")
    assert joined["label"].tolist() == ["bed", "bed", "mug", "mug"]
    assert joined["cutoff"].tolist() == [-1.0, -0.5, -1.0, -0.5]
    assert join_rows([], "localization").empty


def test_published_pickle(tmp_path):
    file = tmp_path / "ovssc_eval_stats.pkl"
    file.write_bytes(zlib.decompress(base64.b64decode(PUBLISHED_PICKLE)))
    rows = read_rows(file)
    assert rows["scene_id"].tolist() == ["room1", "room1", "room1", "room2"]
    assert rows["label"].tolist() == ["mug", "mug", "mug", "bed"]
    np.testing.assert_array_equal(rows["point_iou"], [0.5, 0.5, 0.5, np.nan])
    np.testing.assert_array_equal(rows["voxel32x32x32_iou"], [0.25, 0.25, 0.25, 1])
    assert rows["cutoff"].tolist() == [-2.5, -2.4, -2.3, -2.5], "np.arange's -2.3000000000000003"
    assert rows["epoch"].tolist() == [3] * 4


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("joined", [False, True])
def test_pickles_of_this_pandas(protocol, joined, tmp_path):
    names = pd.Index(["scene_id", "cutoff", "point_iou", "epoch", "good"], dtype=object)
    cells = [["a", 0.5, 1, 1, True], ["b", np.nan, 0.25, 2, False]]
    types = {"cutoff": float, "point_iou": "float32", "epoch": int, "good": bool}
    frame = pd.DataFrame(cells, columns=names, dtype=object).astype(types)
    frame = pd.concat([frame, frame]) if joined else frame
    (tmp_path / "rows.pkl").write_bytes(pickle.dumps(frame, protocol=protocol))
    found = read_pickled_frame(tmp_path / "rows.pkl")
    assert found.columns.tolist() == names.tolist()
    assert found["scene_id"].tolist() == frame["scene_id"].tolist()
    for name, dtype in types.items():
        assert found[name].dtype == dtype
        np.testing.assert_array_equal(found[name], frame[name])


class Hostile:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("wrap", [lambda h: h, lambda h: [h], lambda h: pd.DataFrame({"a": [h]})])
def test_hostile_pickles_are_refused(wrap, tmp_path):
    trap = tmp_path / "trap"
    file = tmp_path / "rows.pkl"
    file.write_bytes(pickle.dumps(wrap(Hostile(trap))))
    with pytest.raises(RowsError, match=r"rows\.pkl: it refers to \w+\.mkdir.*could run code"):
        read_rows(file)
    assert not trap.exists()


@pytest.mark.parametrize(
    "name",
    ["builtins\neval", "numpy\nload", "pandas\nread_pickle", "pandas.core.frame\nsys.modules"],
)
def test_no_other_name_is_known(name, tmp_path):
    file = tmp_path / "rows.pkl"
    file.write_bytes(f"c{name}\n.".encode())
    with pytest.raises(RowsError, match="it refers to"):
        read_pickled_frame(file)


def test_a_pickle_cannot_change_the_reader(tmp_path):
    """Opcode BUILD on a class, which would set its attributes."""
    file = tmp_path / "rows.pkl"
    file.write_bytes(b"cpandas\nDataFrame\n(N}S'value'\nI1\nstb.")
    with pytest.raises(RowsError):
        read_pickled_frame(file)
    test_published_pickle(tmp_path)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (pickle.dumps({"a": 1}), "must hold a pandas DataFrame, got dict"),
        (pickle.dumps(pd.DataFrame({"a": [[1]]}, columns=pd.Index(["a"], dtype=object))), "a list"),
        (zlib.decompress(base64.b64decode(PUBLISHED_PICKLE))[:500], "is damaged"),
        (b"", "is damaged"),
    ],
)
def test_other_pickles_are_refused(content, match, tmp_path):
    (tmp_path / "rows.pkl").write_bytes(content)
    with pytest.raises(RowsError, match=match):
        read_rows(tmp_path / "rows.pkl")


@pytest.mark.parametrize("name", ["rows.pkl", "rows.parquet"])
def test_missing_files(name, tmp_path):
    with pytest.raises(RowsError, match="there is no file"):
        read_rows(tmp_path / name)


def test_damaged_parquet(tmp_path):
    (tmp_path / "rows.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(RowsError, match="rows.parquet cannot be read"):
        read_rows(tmp_path / "rows.parquet")


def test_other_tables_are_refused(tmp_path):
    pd.DataFrame({"label": [1], "cutoff": [0.0]}).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(RowsError, match=r"lacks the column.*scene_id, split"):
        read_rows(tmp_path / "rows.parquet")
