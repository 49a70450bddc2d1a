"""The ``semabs`` command: faults are told before the work, and names are printed as they are."""

import pytest
from test_evaluation_rows import some_rows
from typer.testing import CliRunner

from semabs_core.cli import app
from semabs_core.data.splits import write_splits
from semabs_core.evaluation.rows import save_rows


def semabs(*arguments: object) -> str:
    """What a command prints, and the error that it ends with."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return f"{result.output}{result.exception}"


@pytest.fixture
def nothing_is_loaded(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("a model was loaded")

    # The pipeline first: imported while the other is replaced, it would keep the replacement.
    monkeypatch.setattr("semabs_core.pipeline.SceneUnderstanding.from_config", refuse)
    monkeypatch.setattr("semabs_core.encoder.load_encoder", refuse)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.npz"], "there is no scene file none.npz"),
        (["{room}", "the mug opposite the lamp"], "unknown relation 'opposite'"),
        (["{room}", "the mug beneath the lamp"], "unknown relation 'beneath'; known are: in,"),
        (["{room}", "--classes", "mug, mug"], "repeated: mug"),
        (["{room}", "--out", "{room}"], "nothing can be written to"),
    ],
)
@pytest.mark.usefixtures("nothing_is_loaded")
def test_a_question_is_checked_before_models_are_loaded(arguments, message):
    from semabs_core.data.scene_file import BUILT_IN

    output = semabs("ask", *(text.format(room=BUILT_IN) for text in arguments))
    assert message in " ".join(output.split())
    assert "a model was loaded" not in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{folder}/none"], "is {folder}/none the data set's folder?"),
        (["{folder}", "--preset", "best"], "presets must be among"),
        (["{folder}", "--source", "depth"], "sources must be among"),
        (["{folder}", "--prompt", "a photo"], "a prompt must hold one {{}}"),
        (["{folder}", "--prompt", "a {{}} in {{place}}"], "and no other brace"),
    ],
)
@pytest.mark.usefixtures("nothing_is_loaded")
def test_relevancy_is_checked_before_an_encoder_is_loaded(arguments, message, tmp_path):
    write_splits(tmp_path, {"train": ["a.hdf5"]})
    words = (text.format(folder=tmp_path) for text in arguments)
    output = semabs("data", "relevancy", "--encoder", "ViT-B-32", *words)
    assert message.format(folder=tmp_path) in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["presence", "{folder}", "--split", "test"], "has no split 'test', but train, validation"),
        (["presence", "{folder}", "--split", "validation"], "has no scenes"),
        (["presence", "{folder}", "--preset", "best"], "presets must be among"),
        (["weights", "calibrate", "shipped:encoder", "--data", "{folder}"], "has no scenes"),
        (
            ["weights", "calibrate", "shipped:encoder", "--data", "{folder}", "--prompt", "a"],
            "a prompt must hold one {{}}",
        ),
    ],
)
@pytest.mark.usefixtures("nothing_is_loaded")
def test_rooms_are_checked_before_an_encoder_is_loaded(arguments, message, tmp_path):
    write_splits(tmp_path, {"train": ["a.hdf5"], "validation": []})
    output = semabs(*(text.format(folder=tmp_path) for text in arguments))
    assert message.format() in output
    assert "a model was loaded" not in output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--option", "data.folder=[a"], "data.folder must be a YAML value, got '[a'"),
        (["--option", "data=3", "--option", "data.folder=a"], "cannot be set beside data: 3"),
        (["--option", "seed"], "expected name=value, got 'seed'"),
        (["--config", "{folder}/list.yaml"], "list.yaml must be a mapping, got list"),
    ],
)
def test_options_of_a_training_are_checked(options, message, tmp_path):
    (tmp_path / "list.yaml").write_text("[]")
    output = semabs("train", "completion", *(text.format(folder=tmp_path) for text in options))
    assert message in " ".join(output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("size=3", "size: Input should be a valid tuple, got 3"),
        ("points=many", "points: Input should be a valid integer"),
        ("noisy_share=2", "noisy_share must be in 0..1, got 2"),
        ("color=1", "unknown option color; known are colored_share, noisy_share, points, size"),
    ],
)
def test_options_of_rooms_are_checked(option, message, tmp_path):
    output = semabs("data", "rooms", "--out", tmp_path, "--option", option)
    assert message in " ".join(output.replace("│", " ").split())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["pointing", "summarize"])
def test_where_a_table_goes_is_checked_first(command, tmp_path):
    output = semabs(command, tmp_path / "none", "--out", tmp_path / "table.xlsx")
    assert "a table is saved as .md or .csv, got table.xlsx" in output


def test_names_in_brackets_are_printed_as_they_are(tmp_path):
    file = tmp_path / "rows [red].parquet"
    rows = some_rows().assign(voxel32x32x32_iou=0.5)
    rows.attrs["skipped"] = {"validation": 2}
    save_rows(rows, file)
    output = semabs("summarize", f"ours [bold]={file}", "--cutoff", "-0.5")
    assert output.count("ours [bold]") == 2, "in the table and in the note"
    assert "without 2 damaged scene(s)" in output
    assert f"{tmp_path}/[red]: " in semabs("weights", "verify", f"{tmp_path}/[red]")


def test_the_published_tables_are_printed_alone(tmp_path):
    file = tmp_path / "published.md"
    output = semabs("summarize", "--published", "--out", file)
    for text in ("Completion,", "Localization,", "Completion of NYU,", "40.1", "ClipSpatial"):
        assert text in output
        assert text in file.read_text()
    assert "ask for the --published figures" in semabs("summarize")
