"""Each fault that people make is named first; healthy recordings and real scenes raise no alarm."""

import dataclasses

import numpy as np
import pytest
from PIL import Image
from recordings import BODY, OPTICAL, messages, room, write
from support import SHARED
from typer.testing import CliRunner

from semabs_core.cli import app
from semabs_core.config import RegionConfig, SemabsConfig
from semabs_core.data.scene_file import built_in_scene, load_scene, save_scene
from semabs_core.doctor import machine
from semabs_core.doctor.examine import examine
from semabs_core.doctor.findings import Level
from semabs_core.doctor.frames import check_frames
from semabs_core.doctor.picture import FLOOR, REGION, draw_region
from semabs_core.doctor.registration import compare_edges
from semabs_core.readers import open_sequence, parse_read_options
from semabs_core.types import RGBDFrame

REAL = [f for f in sorted((SHARED / "scenes").glob("*.npz")) if "relevancy" not in f.name]
UNTRAINED = {"checkpoint": "untrained"}


def config(**region):
    """The default region, with models that cost nothing to check."""
    plain = SemabsConfig()
    return dataclasses.replace(
        plain,
        encoder=dataclasses.replace(plain.encoder, model="ViT-B-32"),
        completion=dataclasses.replace(plain.completion, **UNTRAINED),
        localization=dataclasses.replace(plain.localization, **UNTRAINED),
        region=RegionConfig(**region),
    )


def of_input(report):
    """What was found about the input, not the machine."""
    models = ("model", "torch", "socket")
    return [found for found in report.findings if not any(name in found.subject for name in models)]


def moved(depth, pixels):
    """Depth that is seen from elsewhere."""
    return np.roll(depth, pixels, axis=1)


def scaled(factor):
    K = room().K.copy()
    K[:2] *= factor
    return K


def without(name):
    return [one for one in messages() if one[0] != name]


FAULTS = {
    "metres that are 1000": (
        lambda: messages(depth=room().depth_m[0] * 1000, encoding="32FC1"),
        "depth units", "divide by 1000",
    ),
    "millimetres that are metres": (
        lambda: messages(depth=room().depth_m[0] / 1000), "depth units", "multiply metres by 1000",
    ),
    "depth of another view": (
        lambda: messages(depth=moved(room().depth_m[0], 22)),
        "depth registered to colour", "depth_image_proc/register",
    ),
    "depth of another frame": (
        lambda: messages(depth_frame="depth_optical"), "depth registered to colour", "record",
    ),
    "the body's frame": (lambda: messages(frame=BODY), "optical frame", "REP 103"),
    "the floor 1.2 m below": (lambda: messages(raised_m=1.2), "floor height", "floor_z_m"),
    "the floor 1.2 m above": (lambda: messages(raised_m=-1.2), "floor height", "floor_z_m"),
    "depth stamped 200 ms later": (
        lambda: messages(10, depth_late_s=0.2), "stamps", "time of the exposure",
    ),
    "depth stamped 200 ms earlier": (
        lambda: messages(10, depth_late_s=-0.2), "stamps", "time of the exposure",
    ),
    "no TF of the robot at all": (
        lambda: [one for one in messages() if not one[0].startswith("/tf")], "TF",
        "robot_state_publisher",
    ),
    "TF that stops": (lambda: messages(30, tf=lambda i: i < 8), "TF", "at the images' stamps"),
    "K of an image twice as large": (lambda: messages(K=scaled(2)), "intrinsics", "camera_info"),
    "K of an image half as large": (lambda: messages(K=scaled(0.5)), "intrinsics", "scale K"),
    "no depth": (lambda: without("/cam/aligned_depth/image_raw"), "topics", "record the missing"),
    "no depth reading": (
        lambda: messages(depth=np.zeros_like(room().depth_m[0])), "depth units", "covered",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_first(tmp_path, fault):
    made, subject, remedy = FAULTS[fault]
    report = examine(write(tmp_path / "bag", made()), parse_read_options(""), config()).report
    assert report.failed
    main = report.sorted()[0]
    assert main.level == Level.ERROR
    assert main.subject.startswith(subject), report.sorted()
    assert remedy in main.remedy
    assert report.verdict().startswith(f"main fault: {main.subject}: ")


@pytest.mark.parametrize("encoding", ["16UC1", "32FC1"])
def test_a_healthy_recording_is_all_green(tmp_path, encoding):
    path = write(tmp_path / "bag", messages(5, encoding=encoding))
    result = examine(path, parse_read_options(""), config())
    assert [found for found in of_input(result.report) if found.level != Level.OK] == []
    said = {found.subject: found.text for found in result.report.findings}
    assert "10.0 Hz" in said["rates"]
    assert f"'map' to '{OPTICAL}' is known at all 5 stamps" in said["TF"]
    assert "at z = 0.00 m" in said["floor height"].replace("-0.00", "0.00")
    assert "median" in said["depth units"]
    assert result.frame is not None
    with pytest.raises(ValueError, match="depth_scale does not apply to this .recording."):
        examine(path, parse_read_options("depth_scale=1000"), config())


@pytest.mark.parametrize("path", [None, *REAL], ids=lambda path: path.stem if path else "built-in")
def test_good_scenes_raise_no_alarm(path):
    result = examine(path or "", parse_read_options(""), config())
    assert [found for found in of_input(result.report) if found.level == Level.ERROR] == []
    said = {found.subject: found for found in result.report.findings}
    assert said["floor height"].level == said["region"].level == Level.OK


@pytest.mark.skipif(not REAL, reason="real scenes are not part of the package")
@pytest.mark.parametrize("path", REAL, ids=[path.stem for path in REAL])
@pytest.mark.parametrize(
    ("spoil", "subject"),
    [
        (lambda f: dict(depth_m=np.roll(f.depth_m, f.camera.width // 12, axis=1)), "depth regist"),
        (lambda f: dict(T_world_camera=raised(f, 1.2)), "floor height"),
        (lambda f: dict(T_world_camera=f.T_world_camera @ OPTICAL_AS_BODY), "optical frame"),
        (lambda f: dict(depth_m=f.depth_m * 1000), "depth units"),
        (lambda f: dict(K=np.diag([2, 2, 1]) @ f.K), "intrinsics"),
    ],
    ids=["unregistered", "raised", "body", "millimetres", "K"],
)
def test_faults_in_real_scenes_are_named_first(path, spoil, subject):
    scene = load_scene(path)
    frames = [scene.frame(i) for i in range(len(scene))]
    spoilt = []
    for f in frames:
        values = dict(rgb=f.rgb, depth_m=f.depth_m, K=f.K, T_world_camera=f.T_world_camera)
        spoilt.append(RGBDFrame(**values | spoil(f)))
    found = check_frames(spoilt, RegionConfig(), "camera", "map")
    errors = [finding for finding in found if finding.level == Level.ERROR]
    assert errors[0].subject.startswith(subject), errors


OPTICAL_AS_BODY = np.linalg.inv([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]])


def raised(frame, height):
    T = frame.T_world_camera.copy()
    T[2, 3] += height
    return T


@pytest.mark.parametrize(
    ("shift", "expected"), [((0, 0), (0, 0)), ((16, 0), (-0.05, 0)), ((-24, 8), (0.075, -0.025))]
)
def test_how_far_depth_is_off_is_measured(shift, expected):
    frame = room().frame(0)
    depth = np.roll(frame.depth_m, shift, axis=(1, 0))
    found = compare_edges([RGBDFrame(frame.rgb, depth, frame.K, frame.T_world_camera)])
    np.testing.assert_allclose(found.shift, expected, atol=0.0101)
    assert found.scale == 1
    assert found.elsewhere == any(shift)


def test_a_table_is_no_floor_that_is_too_high():
    """A close view of a table: its top is the lowest surface, the floor is not seen."""
    T = np.array([[0, -0.8, 0.6, 0], [-1, 0, 0, 0], [0, -0.6, -0.8, 1.4], [0, 0, 0, 1.0]])
    K = np.array([[200.0, 0, 79.5], [0, 200, 59.5], [0, 0, 1]])
    v, u = np.mgrid[0:120, 0:160]
    rays = np.stack([(u - 79.5) / 200, (v - 59.5) / 200, np.ones(u.shape)], axis=-1) @ T[:3, :3].T
    depth = ((0.74 - 1.4) / rays[..., 2]).astype(np.float32)
    frame = RGBDFrame(np.zeros((120, 160, 3), np.uint8), depth, K, T)
    found = {one.subject: one for one in check_frames([frame], RegionConfig(), "", "world")}
    assert found["floor height"].level == Level.WARNING
    assert "a table and the floor is hidden" in found["floor height"].remedy


def test_a_leaning_world_is_named():
    frame = room().frame(0)
    lean = np.eye(4)
    angle = np.radians(15)
    lean[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    leaning = RGBDFrame(frame.rgb, frame.depth_m, frame.K, lean @ frame.T_world_camera)
    errors = [
        one for one in check_frames([leaning], RegionConfig(), "", "world")
        if one.level == Level.ERROR
    ]  # fmt: skip
    assert errors[0].subject == "gravity"
    assert "15.0 degrees" in errors[0].text


def test_a_region_without_readings_is_named():
    scene = built_in_scene()
    far = RegionConfig(region_min_m=(30.0, 0, 0))
    found = {one.subject: one for one in check_frames([scene.frame(0)], far, "", "world")}
    assert found["region"].level == Level.ERROR
    assert "0% of the readings" in found["region"].text


def test_the_picture_shows_region_and_floor():
    frame = room().frame(0)
    picture = np.asarray(draw_region(frame, RegionConfig(), "all is well"))
    assert picture.shape[1] == 640
    for color in (REGION, FLOOR):
        where = np.argwhere((picture[:480] == color).all(axis=-1))
        assert len(where) > 100
    # The region begins 0.83 m ahead, 1.5 m below: under the picture, so its floor fills the bottom.
    assert (picture[470:480] == FLOOR).all(axis=-1).any()


def run(*arguments):
    return CliRunner().invoke(app, ["doctor", *map(str, arguments)])


def test_the_command_on_a_scene(tmp_path):
    save_scene(built_in_scene(), tmp_path / "room.npz")
    done = run(tmp_path / "room.npz", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "VERDICT: " in done.output
    assert "shipped:completion_any is there and whole" in " ".join(done.output.split())
    assert Image.open(tmp_path / "out" / "doctor.png").size[0] >= 512


def test_the_command_on_a_fault(tmp_path):
    path = write(tmp_path / "bag", messages(raised_m=1.2))
    done = run(path, "--out", tmp_path)
    assert done.exit_code == 1
    lines = [line for line in done.output.splitlines() if "ERROR" in line or "ok" in line]
    assert "floor height" in lines[0]
    assert "VERDICT: main fault: floor height" in done.output


def test_files_that_cannot_be_read_are_an_error_of_reading(tmp_path):
    (tmp_path / "a.npz").write_text("no archive")
    done = run(tmp_path / "a.npz")
    assert done.exit_code == 1
    assert "main fault: reading" in done.output
    assert "a.npz is damaged or no scene file" in " ".join(done.output.split())


def test_live_without_ros_says_what_is_missing(monkeypatch):
    import semabs_core.commands.doctor as command

    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: None)
    done = run("--live")
    assert done.exit_code == 2
    assert "--live needs ROS 2" in " ".join(done.output.split())


@pytest.mark.parametrize(
    ("size", "live", "level"),
    [(212992, True, Level.WARNING), (212992, False, Level.OK), (2**25, True, Level.OK)],
)
def test_socket_buffers_matter_live(monkeypatch, tmp_path, size, live, level):
    (tmp_path / "rmem_max").write_text(f"{size}\n")
    monkeypatch.setattr(machine, "RMEM", tmp_path / "rmem_max")
    (found,) = machine.check_sockets(live)
    assert found.level == level
    assert str(size) in found.text


def test_a_driver_that_torch_does_not_see_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(machine.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(machine, "DRIVER", tmp_path)
    (found,) = machine.check_torch()
    assert found.level == Level.OK
    (tmp_path / "version").write_text("NVRM version: x")
    monkeypatch.setattr(machine, "DRIVER", tmp_path / "version")
    (found,) = machine.check_torch()
    assert found.level == Level.WARNING
    assert "does not see it" in found.text


def test_models_that_are_missing_are_named(tmp_path):
    plain = SemabsConfig()
    gone = dataclasses.replace(
        plain, completion=dataclasses.replace(plain.completion, checkpoint=str(tmp_path / "none"))
    )
    found = {one.subject: one for one in machine.check_models(gone)}
    assert found["encoder model"].level == Level.OK
    assert found["completion model"].level == Level.WARNING


def test_a_folder_in_a_published_format_is_examined(tmp_path):
    scene = room()
    np.save(tmp_path / "depth.npy", scene.depth_m[0])
    Image.fromarray(scene.rgb[0]).save(tmp_path / "rgb.png")
    np.savetxt(tmp_path / "intrinsics.txt", scene.K)
    report = examine(tmp_path, parse_read_options(""), config()).report
    assert [found for found in of_input(report) if found.level != Level.OK] == []
    assert any("up is estimated" in found.text for found in report.findings)
    assert len(open_sequence(tmp_path)) == 1
