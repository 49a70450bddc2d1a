"""A goal for what is not there ends with NOT_FOUND and the best guess; unknown words are named."""

import math
import shutil

import pytest
from asking import RESULT, STATUS, ask_when_active, call
from semabs.srv import SetClasses
from sensor_msgs_py import point_cloud2
from support import ENCODER

from semabs_core.vocabulary import Vocabulary


@pytest.fixture
def knowing_encoder(tmp_path):
    """An encoder that says which words it was shown."""
    folder = tmp_path / "encoder"
    shutil.copytree(ENCODER.removeprefix("local-dir:"), folder)
    Vocabulary(("floor", "lamp", "mug", "table"), ("red",)).save(folder)
    return f"local-dir:{folder}"


def test_a_goal_for_unknown_things_is_not_found(make_node, localize, camera, knowing_encoder):
    make_node(encoder__model=knowing_encoder, autostart=True)
    status, result = ask_when_active(localize, sentence="the flurb behind the [zork]")
    assert (status, result.error_code) == (STATUS.STATUS_ABORTED, RESULT.NOT_FOUND)
    assert result.message.startswith("not found: the picture does not support it")
    assert "the encoder was never shown: flurb, [zork]" in result.message
    assert math.isnan(result.probability)
    assert 0 < result.score < 1
    assert result.pose.header.frame_id
    assert len(point_cloud2.read_points(result.region)) > 0
    status, result = localize.ask(sentence="the shiny mug behind the lamp")
    assert (status, result.error_code) == (STATUS.STATUS_SUCCEEDED, RESULT.NONE)
    assert "the encoder was never shown: shiny" in result.message


def test_unknown_classes_are_named(make_node, complete, peer, camera, knowing_encoder):
    make_node(encoder__model=knowing_encoder, autostart=True)
    status, result = ask_when_active(complete, classes=["mug", "flurb"])
    assert (status, result.error_code) == (STATUS.STATUS_SUCCEEDED, RESULT.NONE)
    assert "the encoder was never shown: flurb" in result.message
    request = SetClasses.Request(classes=["red mug", "zork"])
    answer = call(peer, SetClasses, "/semabs/set_classes", request)
    assert answer.success
    assert answer.message == "red mug, zork; the encoder was never shown: zork"
