"""The ``semabs`` command: faults are told before the work, and names are printed as they are."""

import shlex
import subprocess
import sys

import pytest
import typer
from PIL import Image
from support import ROOT
from test_evaluation_rows import some_rows
from typer.testing import CliRunner

from semabs_core.cli import Commands, app, main, run_clearly
from semabs_core.data.scene_file import BUILT_IN
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

    # These first: imported while the last is replaced, they would keep the replacement.
    monkeypatch.setattr("semabs_core.picture.PictureReader.__init__", refuse)
    monkeypatch.setattr("semabs_core.pipeline.SceneUnderstanding.from_config", refuse)
    monkeypatch.setattr("semabs_core.encoder.load_encoder", refuse)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["localize", "none.npz"], "there is no scene file none.npz"),
        (["localize", "{room}", "the mug opposite the lamp"], "unknown relation 'opposite'"),
        (["localize", "{room}", "mug beneath lamp"], "unknown relation 'beneath'; known are: in,"),
        (["localize", "{room}", "--frame", "7"], "there is no frame 7: room has 1"),
        (["localize", "{room}", "--option", "region.floor=1"], "region.floor: no such option"),
        (["complete", "{room}", "--class", "mug", "--class", "mug"], "repeated: mug"),
        (["complete", "{room}", "--class", " "], "the class name has no words"),
        (["complete", "{room}", "--preset", "best"], "relevancy.preset: Input should be 'ours'"),
        (["complete", "{room}", "--resolution", "2"], "should be greater than or equal to 4"),
        (["complete", "{room}", "--out", "{room}"], ".npz: it is a file"),
        (["complete", "{room}", "--rerun", "a.txt"], "a recording's name must end in .rrd"),
        (["relevancy", "none.png", "--label", "mug"], "there is no picture none.png"),
        (["relevancy", "{text}", "--label", "mug"], "it is no picture; give a PNG or JPEG file"),
        (["relevancy", "{picture}", "--label", ""], "the class name has no words"),
        (["relevancy", "{picture}", "--label", "a mug", "--label", "mug"], "repeated: mug"),
        (["relevancy", "{picture}", "--label", "mug", "--out", "{room}"], "nothing can be written"),
        (["relevancy", "{small}", "--label", "mug"], "image must be at least 16 pixels"),
        (["visualize", "{folder}"], "holds no answer (scene.npz with completion.npz or"),
    ],
)
@pytest.mark.usefixtures("nothing_is_loaded")
def test_a_question_is_checked_before_models_are_loaded(arguments, message, tmp_path):
    (tmp_path / "a.txt").write_text("no picture")
    for name, edge in (("small.png", 8), ("picture.png", 20)):
        Image.new("RGB", (edge, edge)).save(tmp_path / name)
    names = {"text": "a.txt", "small": "small.png", "picture": "picture.png", "folder": "."}
    paths = {key: tmp_path / name for key, name in names.items()}
    if "--out" not in arguments and arguments[0] != "visualize":
        arguments = [*arguments, "--out", str(tmp_path / "out")]
    output = semabs(*(text.format(room=BUILT_IN, **paths) for text in arguments))
    assert message in " ".join(output.replace("│", " ").split())
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
        (["--out", "{folder}"], "--data must name a folder"),
        (["--data", "{folder}"], "--out must name a folder"),
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
        (
            "color=1",
            "unknown option color; known are colored_share, even_share, "
            "noisy_share, points, size, views",
        ),
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


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (["pointing", "none"], "--out={file}/a.md"),
        (["presence", "none"], "--out={file}/a.csv"),
        (["summarize", "--published"], "--out={file}/a.md"),
        (["calibrate", "none", "--data", "none"], "--figure={file}/a.png"),
        (["eval", "none", "--data", "none"], "--out={file}/a.csv"),
        (["train", "encoder", "--data", "none"], "--out={file}"),
    ],
)
def test_a_folder_that_is_a_file_is_named_before_the_work(
    monkeypatch, capsys, tmp_path, command, option
):
    (tmp_path / "a.txt").write_text("a file")
    file = tmp_path / "a.txt"
    code, text = run_main(monkeypatch, capsys, *command, option.format(file=file))
    assert code == 2
    assert f"nothing can be written to {file}: it is a file" in text
    code, text = run_main(monkeypatch, capsys, "data", "rooms", "--out", file)
    assert (code, text) == (1, f"semabs: {file}: it is a file, not a folder\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["eval", "none", "--data", "none", "--out", "a.csv", "--grid", "0"],
        ["eval", "none", "--data", "none", "--out", "a.csv", "--limit", "-1"],
        ["eval", "none", "--data", "none", "--out", "a.csv", "--workers", "-1"],
        ["calibrate", "none", "--data", "none", "--limit", "-1"],
        ["pointing", "none", "--intervals", "-1"],
        ["summarize", "--published", "--intervals", "-1"],
    ],
)
def test_numbers_out_of_range_are_named(monkeypatch, capsys, arguments):
    code, text = run_main(monkeypatch, capsys, *arguments)
    assert code == 2
    assert f"Invalid value for '{arguments[-2]}': " in text
    assert "greater than or equal to" in text or "not in the range" in text


def test_names_in_brackets_are_printed_as_they_are(tmp_path):
    file = tmp_path / "rows [red].parquet"
    rows = some_rows().assign(voxel32x32x32_iou=0.5)
    rows.attrs["skipped"] = {"validation": 2}
    save_rows(rows, file)
    output = semabs("summarize", f"ours [bold]={file}", "--cutoff", "-0.5")
    assert output.count("ours [bold]") == 2, "in the table and in the note"
    assert "without 2 damaged scene(s)" in output
    assert f"{tmp_path}/[red]: " in semabs("weights", "verify", f"{tmp_path}/[red]")


def test_tables_are_of_labels_alone_or_as_a_robot_is_answered(tmp_path):
    file, old = tmp_path / "rows.parquet", tmp_path / "old.parquet"
    rows = some_rows().assign(voxel32x32x32_iou=0.25, split="unseen_instances")
    save_rows(rows, old)
    save_rows(rows.assign(answered_voxel32x32x32_iou=0.75), file)
    assert "25.0" in semabs("summarize", file, "--cutoff", "-0.5")
    assert "75.0" in semabs("summarize", file, "--cutoff", "-0.5", "--answered")
    told = semabs("summarize", old, "--cutoff", "-0.5", "--answered")
    assert "no column 'answered_voxel32x32x32_iou': evaluate again" in told


def test_tables_are_of_the_grid_that_is_asked_for(tmp_path):
    file = tmp_path / "rows.parquet"
    rows = some_rows().assign(voxel32x32x32_iou=0.25, split="unseen_instances")
    save_rows(rows.assign(voxel64x64x64_iou=0.125), file)
    found = semabs("summarize", file, "--cutoff", "-0.5", "--grid", "64")
    assert "12.5" in found
    assert "voxel64x64x64_iou" in found
    told = semabs("summarize", file, "--cutoff", "-0.5", "--grid", "48")
    assert "no column 'voxel48x48x48_iou': evaluate again, with that grid" in told
    assert "leave out --grid" in semabs("summarize", file, "--published", "--grid", "64")
    assert "leave out --grid" in semabs("summarize", "--published", "--grid", "64")


def test_the_published_tables_are_printed_alone(tmp_path):
    file = tmp_path / "published.md"
    output = semabs("summarize", "--published", "--out", file)
    for text in ("Completion,", "Localization,", "Completion of NYU,", "40.1", "ClipSpatial"):
        assert text in output
        assert text in file.read_text()
    assert "ask for the --published figures" in semabs("summarize")


def commands(group=None, path=()):
    """Every command, as click has it, by its words."""
    group = group or typer.main.get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


@pytest.mark.parametrize(("words", "command"), commands(), ids=lambda value: str(value)[:40])
def test_every_command_teaches_with_an_example_that_is_understood(words, command):
    line = command.epilog.removeprefix("Example: ")
    called = shlex.split(line)
    assert called[: len(words) + 1] == ["semabs", *words]
    context = command.make_context(words[-1], called[len(words) + 1 :])
    assert not context.args
    assert command.help, "it says what it does"


def test_one_option_has_one_name_and_meaning_in_all_commands():
    meanings = {}
    for words, command in commands():
        if words[0] not in ("relevancy", "complete", "localize", "demo", "visualize"):
            continue
        for parameter in command.params:
            if parameter.param_type_name == "option" and parameter.name != "out":
                meanings.setdefault(parameter.opts[0], set()).add(parameter.help)
    assert {"--config", "--resolution", "--device", "--preset"} <= meanings.keys()
    assert {name: texts for name, texts in meanings.items() if len(texts) > 1} == {}


def run_main(monkeypatch, capsys, *arguments):
    """Exit code, standard error, as from a shell."""
    monkeypatch.setattr("sys.argv", ["semabs", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["complete", "none.npz"], 1, "semabs: there is no scene file none.npz\n"),
        (["complete", BUILT_IN, "--clas", "mug"], 2, "No such option"),
        (["complet"], 2, "No such command 'complet'"),
        (["relevancy", "photo.png"], 2, "Missing option '--label'"),
        (["complete", BUILT_IN, "--resolution", "many"], 2, "Invalid value for '--resolution'"),
        (
            ["localize", BUILT_IN, "--option", "a.b=1", "--option", "c=1"],
            1,
            "fault(s) in the options: a: ",
        ),
    ],
)
def test_a_mistake_is_one_line_and_an_exit_code(monkeypatch, capsys, arguments, code, said):
    found, text = run_main(monkeypatch, capsys, *arguments)
    assert found == code
    assert said in text
    assert text.startswith("semabs: ")
    assert text.count("\n") == 1
    if code == 2:
        assert "--help)" in text


def test_the_traceback_is_shown_on_request(monkeypatch, capsys):
    for arguments in (["-v", "complete", "none.npz"], ["complete", "none.npz", "--verbose"]):
        monkeypatch.setattr("sys.argv", ["semabs", *arguments])
        with pytest.raises(ValueError, match="there is no scene file"):
            main()


def typer_app(command):
    """What runs a function as one of the commands."""
    commands = typer.Typer(cls=Commands)
    commands.command("work")(command)
    commands.command("other")(lambda: None)
    return lambda: commands(["work"], standalone_mode=False)


def test_ctrl_c_is_one_line(capsys):
    def interrupted():
        raise KeyboardInterrupt

    assert run_clearly(interrupted) == 130
    assert capsys.readouterr().err == "semabs: interrupted\n"
    # Some versions of typer end on Ctrl-C without a word.
    assert run_clearly(typer_app(interrupted)) == 130
    assert capsys.readouterr().err == "semabs: interrupted\n"
    assert run_clearly(lambda: 3) == 3
    assert run_clearly(lambda: None) == 0


def test_without_rerun_the_remedy_is_told(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "rerun", None)
    arguments = ("complete", BUILT_IN, "--rerun", tmp_path / "a.rrd", "--out", tmp_path)
    assert "pip install 'semabs[rerun]'" in semabs(*arguments)


def test_a_shell_can_complete_the_commands():
    environment = {
        "PATH": "", "PYTHONPATH": str(ROOT), "_SEMABS_COMPLETE": "complete_bash",
        "COMP_WORDS": "semabs compl", "COMP_CWORD": "1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "semabs_core.cli"], env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.split() == ["complete"]
