"""The words that an encoder knows: what is outside of them, and that nobody asks for it unasked."""

import ast
import json
import re

import numpy as np
import pytest
from support import ROOT
from typer.testing import CliRunner

from semabs_core.cli import app, run_clearly
from semabs_core.commands.common import console
from semabs_core.data.phrases import PhraseVocabulary, room_phrases
from semabs_core.data.scene_file import built_in_scene
from semabs_core.vocabulary import (
    WORDS_FILE,
    Vocabulary,
    VocabularyError,
    never_shown,
    read_vocabulary,
)
from semabs_ros.node_config import NodeConfig

KNOWN = Vocabulary(
    classes=("ball", "basket ball", "mug", "sofa"),
    colors=("orange", "red"),
    synonyms={"sofa": "plant in a pot"},
)


@pytest.mark.parametrize(
    ("name", "unknown"),
    [
        ("mug", []),
        ("The Mug.", []),
        ("red mug", []),
        ("a red, basket ball", []),
        ("plant in a pot", []),
        ("mugs", ["mugs"]),  # another word, which was never shown
        ("red", ["red"]),  # a colour is no thing
        ("plant", ["plant"]),  # a part of a name is none
        ("mug red", ["red"]),  # nor does a colour stand behind one
        ("shiny red mug", ["shiny"]),
        ("harry potter mug", ["harry potter"]),
        ("ball of the flurb zork sofa", ["of", "flurb zork"]),
        ("mug [red] \x1b[31m", ["[red] \x1b[31m"]),
    ],
)
def test_what_of_a_name_is_unknown(name, unknown):
    assert KNOWN.unknown_words([name]) == unknown


def test_unknown_words_of_many_names_come_once_and_in_order():
    assert KNOWN.unknown_words(["zork", "mug", "flurb mug", "zork"]) == ["zork", "flurb"]
    assert KNOWN.unknown_words([]) == []


@pytest.mark.parametrize(
    ("name", "thing"),
    [
        ("mug", "mug"),
        ("the shiny red Mug", "mug"),
        ("mug on a basket ball", "basket ball"),
        ("mugs", None),
        ("red", None),
    ],
)
def test_the_thing_that_a_name_names(name, thing):
    assert KNOWN.thing_in(name) == thing


def test_the_warning_is_one_line_of_bounded_length():
    assert never_shown([]) == ""
    assert never_shown(["flurb", "zork"]) == "the encoder was never shown: flurb, zork"
    long = never_shown(["a\nb" * 1000])
    assert "\n" not in long
    assert len(long) < 300


def test_words_come_back_from_their_file(tmp_path):
    KNOWN.save(tmp_path)
    assert read_vocabulary(f"local-dir:{tmp_path}") == KNOWN


@pytest.mark.parametrize("name", ["ViT-B-32 (openai)", "local-dir:{empty}"])
def test_of_other_encoders_no_words_are_known(name, tmp_path):
    assert read_vocabulary(name.format(empty=tmp_path)) is None


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        json.dumps({"format": "semabs-words", "classes": "mug", "colors": [], "synonyms": {}}),
        json.dumps({"format": "semabs-words", "classes": ["mug"], "colors": []}),
        json.dumps({"format": "other", "classes": [], "colors": [], "synonyms": {}}),
        json.dumps({"format": "semabs-words", "classes": [], "colors": [], "synonyms": {"a": 1}}),
    ],
)
def test_a_damaged_list_is_named(content, tmp_path):
    (tmp_path / WORDS_FILE).write_text(content)
    with pytest.raises(VocabularyError, match=re.escape(str(tmp_path / WORDS_FILE))):
        read_vocabulary(f"local-dir:{tmp_path}")


def test_the_phrases_of_a_data_set_are_what_an_encoder_learns_from_it():
    vocabulary = PhraseVocabulary(["mug", "red mug", "sofa"], {"sofa": "couch", "fridge": "icebox"})
    learnt = vocabulary.vocabulary
    assert learnt == Vocabulary(("mug", "sofa"), ("red",), {"sofa": "couch"})
    phrases = [phrase.text for phrase in vocabulary.draw(9, np.random.default_rng(0))]
    assert learnt.unknown_words(phrases) == []


def test_the_encoder_that_ships_knows_what_rooms_show():
    """The list beside it is made by the code that named the things of its training."""
    assert read_vocabulary("shipped:encoder") == room_phrases().vocabulary


def launch_default(file, argument):
    """The default of an argument of a launch file, read without ROS."""
    tree = ast.parse((ROOT / "launch" / file).read_text())
    tables = [node for node in tree.body if isinstance(node, ast.Assign)]
    table = next(node.value for node in tables if node.targets[0].id == "ARGUMENTS")
    values = {key.value: value for key, value in zip(table.keys, table.values, strict=True)}
    return ast.literal_eval(values[argument].elts[0])


def test_the_defaults_ask_for_words_that_the_default_encoder_knows():
    known, scene = read_vocabulary("shipped:encoder"), built_in_scene()
    pairs = [(target, reference) for target, _, reference in scene.descriptions]
    asked = {
        "node": NodeConfig().classes,
        "demo.launch.py": launch_default("demo.launch.py", "classes").split(", "),
        "semabs.launch.py": [launch_default("semabs.launch.py", "classes")],
        "built-in room": [*scene.classes, *(name for pair in pairs for name in pair)],
    }
    assert {where: known.unknown_words(names) for where, names in asked.items()} == {
        where: [] for where in asked
    }


def test_words_are_printed_as_they_are(tmp_path, monkeypatch):
    Vocabulary(("[red]mug", "sofa"), ("teal",), {"sofa": "[/]couch"}).save(tmp_path)
    monkeypatch.setattr(console, "_width", 140)
    shown = CliRunner().invoke(app, ["weights", "words", f"local-dir:{tmp_path}"]).output
    for text in ("things (2): [red]mug, sofa", "[/]couch (sofa)", "(1): teal"):
        assert text in shown


def test_an_encoder_without_a_list_is_named(capsys):
    assert run_clearly(lambda: app(["weights", "words", "ViT-B-32"], standalone_mode=False)) == 1
    assert "the words of ViT-B-32 are not known" in capsys.readouterr().err
