"""Parameters: wrong types, deletion, values of no type; every request is answered."""

import math

import pytest
from asking import call, change_state, diagnostics, set_parameter
from lifecycle_msgs.msg import Transition
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterType, ParameterValue
from rcl_interfaces.srv import (
    GetParameters,
    SetParameters,
    SetParametersAtomically,
)
from rclpy.node import Node
from rclpy.parameter import Parameter
from semabs.srv import SetClasses
from std_srvs.srv import Trigger
from support import wait_for

from semabs_ros.options import OPTIONS, Option
from semabs_ros.parameters import Parameters
from semabs_ros.services import guard_services


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("classes", 5, "classes must be a list of texts, got '5'"),
        ("classes", "bed", "classes must be a list of texts, got 'bed'"),
        ("classes", [1, 2], r"classes must be a list of texts, got '\[1, 2\]'"),
        ("region.region_min_m", ["a"], "region.region_min_m must be a list of numbers"),
        ("tf_timeout_s", "soon", "tf_timeout_s must be a number, got 'soon'"),
        ("tf_timeout_s", True, "tf_timeout_s must be a number, got 'True'"),
        ("completion.resolution", 16.5, "completion.resolution"),
        ("autostart", "yes", "autostart"),
        ("config_file", 3, "config_file"),
        ("relevancy.prompts", 5, "relevancy.prompts must be a list of texts"),
    ],
)
def test_a_start_parameter_of_the_wrong_type_is_a_fault(context, name, value, reason):
    node = Node("n", context=context, parameter_overrides=[Parameter(name, value=value)])
    parameters = Parameters(node)
    assert parameters.fault.startswith(reason.replace("\\", ""))
    assert set(parameters.values()) == set(OPTIONS)
    node.destroy_node()


def test_what_a_file_gives_and_is_no_parameter_is_told(context):
    """With -p it is refused; a file may be for other nodes too."""
    names = (
        "world_frme", "region.floor_z", "classes", "qos_overrides./tf.depth", "use_sim_time",
        "of_another_node",
    )  # fmt: skip
    values = {"classes": ["mug"], "use_sim_time": False}
    given = [Parameter(name, value=values.get(name, 1.0)) for name in names]
    node = Node("n", context=context, parameter_overrides=given)
    parameters = Parameters(node)
    assert not parameters.fault
    assert parameters.unknown == (
        "no parameter of this node: 'world_frme', did you mean 'world_frame'?; "
        "'region.floor_z', did you mean 'region.floor_z_m'?"
    )
    node.destroy_node()


def test_what_is_fixed_cannot_change_while_it_is_loaded(make_node):
    node = make_node()
    change = [Parameter("relevancy.preset", value="fast")]
    node.state = "configuring"
    assert "takes effect when the node is configured" in node._check_parameters(change).reason
    node.state = "unconfigured"
    assert node._check_parameters(change).successful


def test_a_fault_lasts_until_its_own_parameter_is_right(make_node, peer):
    last = diagnostics(peer)
    node = make_node(classes=5)
    assert not change_state(peer, Transition.TRANSITION_CONFIGURE)
    assert set_parameter(peer, "tf_timeout_s", 1).successful
    assert "classes must be a list of texts" in node.parameters.fault
    wait_for(
        lambda: "classes must be a list of texts" in last.get("semabs: models", ("", ""))[1],
        what="fault in the diagnostics",
    )
    assert set_parameter(peer, "classes", ["bed"]).successful
    assert change_state(peer, Transition.TRANSITION_CONFIGURE)


def delete(peer, name):
    """``ros2 param delete`` sets a parameter to nothing."""
    request = SetParameters.Request(parameters=[ParameterMessage(name=name)])
    return call(peer, SetParameters, "/semabs/set_parameters", request).results[0]


def test_wrong_types_are_refused_at_run_time_and_nothing_breaks(make_node, peer):
    node = make_node()
    for name, value, reason in [
        ("completion.resolution", "many", "completion.resolution must be a whole number"),
        ("goal_policy", 3, "goal_policy"),
        ("classes", 5, "classes must be a list of texts, got '5'"),
        ("classes", "bed", "classes must be a list of texts, got 'bed'"),
        ("classes", [1.5], "classes must be a list of texts, got '[1.5]'"),
        ("classes", ["x" * 5000], "has 5000 characters, at most 200 are allowed"),
        ("region.region_min_m", "abc", "region.region_min_m must be a list of numbers"),
        ("completion.cutoff", "low", "completion.cutoff must be a number, got 'low'"),
        ("completion.cutoff", True, "completion.cutoff must be a number, got 'True'"),
        ("nothing.of.the.kind", 1, "nothing.of.the.kind"),
    ]:
        result = set_parameter(peer, name, value)
        assert not result.successful
        assert reason in result.reason
        assert len(result.reason) < 400
    assert node.parameters.node_config.classes == ["floor", "table", "lamp"]
    assert set_parameter(peer, "region.region_min_m", [0, 1, 2]).successful
    assert node.parameters.core_config.region.region_min_m == (0.0, 1.0, 2.0)


@pytest.mark.parametrize(
    ("name", "unset", "value"),
    [
        ("completion.cutoff", math.nan, -2.0),
        ("localization.region_margin", math.nan, 0.5),
        ("relevancy.prompts", [], ["a {}"]),
        ("relevancy.augmentations", -1, 2),
        ("classes", None, ["bed"]),
        ("encoder.pretrained", "", "x"),
    ],
)
def test_parameters_cannot_be_deleted_and_go_on_working(make_node, peer, name, unset, value):
    make_node()
    refused = delete(peer, name)
    assert not refused.successful
    assert refused.reason
    if unset is not None:
        assert set_parameter(peer, name, value).successful
        assert set_parameter(peer, name, unset).successful
    response = call(
        peer, SetClasses, "/semabs/set_classes", SetClasses.Request(classes=["the bed"])
    )
    assert response.success, response.message


def strange(name):
    return ParameterMessage(name=name, value=ParameterValue(type=77))


def test_values_of_no_type_are_refused_and_the_others_taken(make_node, peer):
    make_node()
    good = Parameter("tf_timeout_s", value=1.5).to_parameter_msg()
    request = SetParameters.Request(parameters=[strange("classes"), good])
    bad, fine = call(peer, SetParameters, "/semabs/set_parameters", request).results
    assert not bad.successful
    assert "77" in bad.reason
    assert fine.successful
    together = SetParametersAtomically.Request(parameters=[good, strange("classes")])
    kind, name = SetParametersAtomically, "/semabs/set_parameters_atomically"
    assert not call(peer, kind, name, together).result.successful
    got = call(peer, GetParameters, "/semabs/get_parameters", GetParameters.Request(names=["x"]))
    assert all(v.type == ParameterType.PARAMETER_NOT_SET for v in got.values)


def test_a_service_whose_callback_raises_answers_why(spinner, peer):
    def fails(request, response):
        raise RuntimeError("out of order")

    node = Node("faulty", context=spinner.context)
    node.create_service(Trigger, "~/try", fails)
    guard_services(node)
    spinner.add(node)
    response = call(peer, Trigger, "/faulty/try", Trigger.Request())
    assert not response.success
    assert response.message == "RuntimeError: out of order"


def test_a_truth_value_that_may_be_unset_is_an_empty_text_then():
    option = Option("refine", bool | None, "", False, {})
    assert option.to_ros(None) == ""
    assert [option.from_ros(value) for value in ("", True, False)] == [None, True, False]
    assert [option.wrong_type(value) for value in ("", True, False)] == ["", "", ""]
    assert option.wrong_type("yes") == "refine must be true or false, got 'yes'"
    assert option.unset == "an empty text"
