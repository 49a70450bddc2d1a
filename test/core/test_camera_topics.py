"""Topic layouts of real drivers: the right camera, or a clear question. Needs no running node."""

import pytest

from semabs_core.readers.camera_topics import Topic, TopicError, choose_camera

KINDS = {"I": "sensor_msgs/msg/Image", "C": "sensor_msgs/msg/CompressedImage",
         "K": "sensor_msgs/msg/CameraInfo"}  # fmt: skip


def topics(layout):
    """One topic a line: name, type (I, C, K or whole), frame, size, encoding."""
    found = []
    for line in layout.strip().splitlines():
        name, kind, *facts = line.split()
        frame, size, encoding = (*facts, "", "", "")[:3]
        width, height = map(int, size.split("x")) if size else (0, 0)
        found.append(Topic(name, KINDS.get(kind, kind), frame, width, height, encoding))
    return found


def by_name(layout):
    """The same topics where no message could be read."""
    return [Topic(topic.name, topic.kind) for topic in topics(layout)]


def both(prefix, facts, encoding, image="image_raw"):
    """An image and its camera_info."""
    return f"{prefix}/{image} I {facts} {encoding}\n{prefix}/camera_info K {facts}\n"


REALSENSE = (
    both("{}/color", "camera_color_optical_frame 1280x720", "rgb8")
    + both("{}/depth", "camera_depth_optical_frame 848x480", "16UC1", "image_rect_raw")
    + both("{}/aligned_depth_to_color", "camera_color_optical_frame 1280x720", "16UC1")
    + both("{}/infra1", "camera_infra1_optical_frame 848x480", "mono8", "image_rect_raw")
    + both("{}/infra2", "camera_infra2_optical_frame 848x480", "mono8", "image_rect_raw")
    + "{}/depth/color/points sensor_msgs/msg/PointCloud2 camera_depth_optical_frame\n"
    + "/tf tf2_msgs/msg/TFMessage"
)
ALIGNED = ("color/image_raw", "aligned_depth_to_color/image_raw", "color/camera_info")
AZURE_KINECT = (
    both("/k4a/rgb", "rgb_camera_link 1280x720", "bgra8")
    + both("/k4a/depth", "depth_camera_link 640x576", "32FC1")
    + both("/k4a/depth_to_rgb", "rgb_camera_link 1280x720", "32FC1")
    + both("/k4a/rgb_to_depth", "depth_camera_link 640x576", "bgra8")
    + both("/k4a/ir", "depth_camera_link 640x576", "mono16")
)
OAK_D = (
    both("/oak/rgb", "oak_rgb_camera_optical_frame 1280x720", "bgr8")
    + both("/oak/stereo", "oak_rgb_camera_optical_frame 1280x720", "16UC1")
    + both("/oak/left", "oak_left_camera_optical_frame 1280x720", "mono8")
    + both("/oak/right", "oak_right_camera_optical_frame 1280x720", "mono8")
)
ZED_FRAME = "zed_left_camera_optical_frame 1280x720"
ZED_RIGHT = "zed_right_camera_optical_frame 1280x720"
ZED = (
    both("/zed/zed_node/rgb_raw", ZED_FRAME, "bgra8", "image_raw_color")
    + both("/zed/zed_node/rgb", ZED_FRAME, "bgra8", "image_rect_color")
    + both("/zed/zed_node/rgb_gray", ZED_FRAME, "mono8", "image_rect_gray")
    + both("/zed/zed_node/left_raw", ZED_FRAME, "bgra8", "image_raw_color")
    + both("/zed/zed_node/left", ZED_FRAME, "bgra8", "image_rect_color")
    + both("/zed/zed_node/right", ZED_RIGHT, "bgra8", "image_rect_color")
    + both("/zed/zed_node/right_raw", ZED_RIGHT, "bgra8", "image_raw_color")
    + both("/zed/zed_node/depth", ZED_FRAME, "32FC1", "depth_registered")
    + f"/zed/zed_node/confidence/confidence_map I {ZED_FRAME} 32FC1\n"
    + f"/zed/zed_node/disparity/disparity_image stereo_msgs/msg/DisparityImage {ZED_FRAME}"
)
ZED_NEW = (
    both("/zed/zed_node/rgb/color/raw", ZED_FRAME, "bgra8", "image")
    + both("/zed/zed_node/rgb/color/rect", ZED_FRAME, "bgra8", "image")
    + both("/zed/zed_node/left/color/rect", ZED_FRAME, "bgra8", "image")
    + both("/zed/zed_node/right/color/rect", ZED_RIGHT, "bgra8", "image")
    + both("/zed/zed_node/depth", ZED_FRAME, "32FC1", "depth_registered")
)
ORBBEC = (
    both("/camera/color", "camera_color_optical_frame 640x480", "rgb8")
    + both("/camera/depth", "camera_color_optical_frame 640x480", "16UC1")
    + both("/camera/ir", "camera_ir_optical_frame 640x480", "mono8")
)
KINECT_2 = "".join(
    both(f"/kinect2/{size}", f"kinect2_rgb_optical_frame {pixels}", encoding, image)
    for size, pixels in (("hd", "1920x1080"), ("qhd", "960x540"))
    for encoding, image in (
        ("bgr8", "image_color"), ("bgr8", "image_color_rect"), ("16UC1", "image_depth_rect"),
        ("mono8", "image_mono"), ("mono8", "image_mono_rect"),
    )
) + "".join(
    both("/kinect2/sd", "kinect2_ir_optical_frame 512x424", encoding, image)
    for encoding, image in (
        ("bgr8", "image_color_rect"), ("16UC1", "image_depth"), ("16UC1", "image_depth_rect"),
        ("16UC1", "image_ir"), ("16UC1", "image_ir_rect"),
    )
)  # fmt: skip
OPENNI_RGB, OPENNI_DEPTH = (f"camera_{name}_optical_frame 640x480" for name in ("rgb", "depth"))
KINECT_1 = (
    both("/camera/rgb", OPENNI_RGB, "bayer_grbg8")
    + f"/camera/rgb/image_color I {OPENNI_RGB} rgb8\n/camera/rgb/image_mono I {OPENNI_RGB} mono8\n"
    + f"/camera/rgb/image_rect_color I {OPENNI_RGB} rgb8\n"
    + both("/camera/depth", OPENNI_DEPTH, "16UC1")
    + f"/camera/depth/image I {OPENNI_DEPTH} 32FC1\n"
    + both("/camera/depth_registered", OPENNI_RGB, "16UC1", "hw_registered/image_rect_raw")
    + both("/camera/ir", "camera_depth_optical_frame 640x480", "mono16")
    + f"/camera/depth/disparity stereo_msgs/msg/DisparityImage {OPENNI_DEPTH}"
)
HSR_RGB = "head_rgbd_sensor_rgb_frame 640x480"
HSR = (
    both("/hsrb/head_rgbd_sensor/rgb", HSR_RGB, "rgb8")
    + f"/hsrb/head_rgbd_sensor/rgb/image_rect_color I {HSR_RGB} rgb8\n"
    + both("/hsrb/head_rgbd_sensor/depth", "head_rgbd_sensor_depth_frame 640x480", "16UC1")
    + both("/hsrb/head_rgbd_sensor/depth_registered", HSR_RGB, "16UC1")
    + f"/hsrb/head_rgbd_sensor/depth_registered/image_rect_raw I {HSR_RGB} 16UC1\n"
    + both("/hsrb/head_l_stereo_camera", "head_l_stereo_camera_frame 1280x960", "bgr8")
    + both("/hsrb/head_r_stereo_camera", "head_r_stereo_camera_frame 1280x960", "bgr8")
    + both("/hsrb/hand_camera", "hand_camera_frame 640x480", "bgr8")
)
FETCH = (
    both("/head_camera/rgb", "head_camera_rgb_optical_frame 640x480", "rgb8")
    + both("/head_camera/depth", "head_camera_depth_optical_frame 640x480", "16UC1")
    + both("/head_camera/depth_registered", "head_camera_rgb_optical_frame 640x480", "16UC1")
    + "/head_camera/depth_downsample/camera_info K head_camera_depth_optical_frame 160x120"
)
TIAGO = (
    both("/xtion/rgb", "xtion_rgb_optical_frame 640x480", "rgb8")
    + "/xtion/rgb/image_rect_color I xtion_rgb_optical_frame 640x480 rgb8\n"
    + both("/xtion/depth", "xtion_depth_optical_frame 640x480", "16UC1")
    + both("/xtion/depth_registered", "xtion_rgb_optical_frame 640x480", "16UC1")
    + "/xtion/depth_registered/image I xtion_rgb_optical_frame 640x480 32FC1"
)
TUM = (
    both("/camera/rgb", "/openni_rgb_optical_frame 640x480", "rgb8", "image_color")
    + both("/camera/depth", "/openni_rgb_optical_frame 640x480", "32FC1", "image")
    + "/imu sensor_msgs/msg/Imu /imu\n/tf tf/msg/tfMessage\n/cortex_marker_array "
    "visualization_msgs/msg/MarkerArray"
)
STRETCH = (
    REALSENSE.replace("{}", "/camera")
    + "\n" + both("/navigation_camera", "nav_camera_optical 800x600", "bgr8")
)  # fmt: skip
LOCOBOT = REALSENSE.replace("{}", "/locobot/camera").replace("camera_color", "locobot/camera_color")
GAZEBO = (
    both("/rgbd_camera", "robot/camera_link/rgbd_camera 320x240", "rgb8", "image")
    + "/rgbd_camera/depth_image I robot/camera_link/rgbd_camera 320x240 32FC1\n"
    + "/rgbd_camera/points sensor_msgs/msg/PointCloud2 robot/camera_link/rgbd_camera\n"
    + "/clock rosgraph_msgs/msg/Clock"
)
GAZEBO_CLASSIC = both("/camera", "camera_optical 640x480", "rgb8") + both(
    "/camera/depth", "camera_optical 640x480", "32FC1"
)
ISAAC_SIM = (
    "/rgb I sim_camera 1280x720 rgb8\n/depth I sim_camera 1280x720 32FC1\n"
    "/camera_info K sim_camera 1280x720\n/semantic_segmentation I sim_camera 1280x720 32SC1\n"
    "/instance_segmentation I sim_camera 1280x720 32SC1\n/clock rosgraph_msgs/msg/Clock"
)
ZIVID = (
    both("/zivid_camera/color", "zivid_optical_frame 1944x1200", "rgba8", "image_color")
    + both("/zivid_camera/depth", "zivid_optical_frame 1944x1200", "32FC1", "image")
    + both("/zivid_camera/snr", "zivid_optical_frame 1944x1200", "32FC1", "image")
    + "/zivid_camera/points/xyzrgba sensor_msgs/msg/PointCloud2 zivid_optical_frame"
)
KINECT_XR = (  # compressed transports only, as bags of long runs hold them
    "/camera/color/image_raw/compressed C cam 640x480 rgb8;jpeg\n"
    "/camera/color/image_raw/compressedDepth C cam 640x480\n"
    "/camera/aligned_depth_to_color/image_raw/compressedDepth C cam 640x480 16UC1;compressedDepth\n"
    "/camera/color/camera_info K cam 640x480"
)

LAYOUTS = {
    "RealSense": (REALSENSE.replace("{}", "/camera"), [f"/camera/{name}" for name in ALIGNED]),
    "RealSense, two-level namespace": (
        REALSENSE.replace("{}", "/camera/camera"), [f"/camera/camera/{name}" for name in ALIGNED],
    ),
    "Azure Kinect": (
        AZURE_KINECT, ["/k4a/rgb/image_raw", "/k4a/depth_to_rgb/image_raw", "/k4a/rgb/camera_info"],
    ),
    "OAK-D (depthai)": (
        OAK_D, ["/oak/rgb/image_raw", "/oak/stereo/image_raw", "/oak/rgb/camera_info"],
    ),
    "ZED": (
        ZED,
        ["/zed/zed_node/rgb/image_rect_color", "/zed/zed_node/depth/depth_registered",
         "/zed/zed_node/rgb/camera_info"],
    ),
    "ZED, new names": (
        ZED_NEW,
        ["/zed/zed_node/rgb/color/rect/image", "/zed/zed_node/depth/depth_registered",
         "/zed/zed_node/rgb/color/rect/camera_info"],
    ),
    "Orbbec, Astra": (
        ORBBEC, ["/camera/color/image_raw", "/camera/depth/image_raw", "/camera/color/camera_info"],
    ),
    "kinect2 (iai)": (
        KINECT_2,
        ["/kinect2/qhd/image_color_rect", "/kinect2/qhd/image_depth_rect",
         "/kinect2/qhd/camera_info"],
    ),
    "Kinect v1 (openni, freenect)": (
        KINECT_1,
        ["/camera/rgb/image_rect_color", "/camera/depth_registered/hw_registered/image_rect_raw",
         "/camera/rgb/camera_info"],
    ),
    "HSR": (
        HSR,
        ["/hsrb/head_rgbd_sensor/rgb/image_rect_color",
         "/hsrb/head_rgbd_sensor/depth_registered/image_rect_raw",
         "/hsrb/head_rgbd_sensor/rgb/camera_info"],
    ),
    "Fetch": (
        FETCH,
        ["/head_camera/rgb/image_raw", "/head_camera/depth_registered/image_raw",
         "/head_camera/rgb/camera_info"],
    ),
    "TIAGo": (
        TIAGO,
        ["/xtion/rgb/image_rect_color", "/xtion/depth_registered/image", "/xtion/rgb/camera_info"],
    ),
    "TUM RGB-D": (
        TUM, ["/camera/rgb/image_color", "/camera/depth/image", "/camera/rgb/camera_info"],
    ),
    "Stretch": (STRETCH, [f"/camera/{name}" for name in ALIGNED]),
    "LoCoBot": (LOCOBOT, [f"/locobot/camera/{name}" for name in ALIGNED]),
    "Gazebo (ros_gz)": (
        GAZEBO, ["/rgbd_camera/image", "/rgbd_camera/depth_image", "/rgbd_camera/camera_info"],
    ),
    "Gazebo classic": (
        GAZEBO_CLASSIC, ["/camera/image_raw", "/camera/depth/image_raw", "/camera/camera_info"],
    ),
    "Isaac Sim": (ISAAC_SIM, ["/rgb", "/depth", "/camera_info"]),
    "Zivid": (
        ZIVID,
        ["/zivid_camera/color/image_color", "/zivid_camera/depth/image",
         "/zivid_camera/color/camera_info"],
    ),
    "compressed only": (
        KINECT_XR,
        ["/camera/color/image_raw/compressed",
         "/camera/aligned_depth_to_color/image_raw/compressedDepth", "/camera/color/camera_info"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("driver", LAYOUTS)
@pytest.mark.parametrize("order", [1, -1])
def test_the_right_camera_by_what_its_messages_say(driver, order):
    layout, expected = LAYOUTS[driver]
    trio = choose_camera(topics(layout)[::order])
    assert [trio.rgb.name, trio.depth.name, trio.info.name] == expected


FRAMES_NEEDED = {"kinect2 (iai)", "TIAGo"}
"""Where names alone leave several consistent answers."""


@pytest.mark.parametrize("driver", sorted(LAYOUTS.keys() - FRAMES_NEEDED))
def test_the_right_camera_by_names_alone(driver):
    layout, expected = LAYOUTS[driver]
    trio = choose_camera(by_name(layout))
    assert [trio.rgb.name, trio.depth.name, trio.info.name] == expected


def test_names_alone_keep_resolutions_together():
    trio = choose_camera(by_name(KINECT_2))
    assert trio.rgb.base.parent == trio.depth.base.parent == trio.info.base.parent


SPOT = "".join(
    both(f"/camera/{side}", f"{side}_fisheye 640x480", "mono8", "image")
    + both(f"/depth/{side}", f"{side} 424x240", "16UC1", "image")
    for side in ("frontleft", "frontright", "left", "right", "back", "hand")
) + "".join(
    both(f"/depth_registered/{side}", f"{side}_fisheye 640x480", "16UC1", "image")
    for side in ("frontleft", "frontright", "left")
)
SPOT_LINE = "RGB=/camera/{0}/image DEPTH=/depth_registered/{0}/image INFO=/camera/{0}/camera_info"
RIG = "".join(
    REALSENSE.replace("{}", f"/{side}_camera").replace(" camera_", f" {side}_camera_") + "\n"
    for side in ("front", "rear")
)


def test_several_cameras_are_a_question():
    with pytest.raises(TopicError, match="there are several cameras; give one of them") as caught:
        choose_camera(topics(SPOT))
    offered = str(caught.value).split("): ")[1].split(" or ")
    assert offered == [SPOT_LINE.format(side) for side in ("frontleft", "frontright", "left")]
    for layout in (topics(RIG), by_name(RIG)):
        with pytest.raises(TopicError, match="RGB=/front_camera/color/image_raw"):
            choose_camera(layout)


def test_the_answer_to_the_question_is_taken():
    told = dict(part.split("=") for part in SPOT_LINE.format("left").lower().split())
    trio = choose_camera(topics(SPOT), told)
    assert trio.depth.name == "/depth_registered/left/image"
    # One topic is enough to tell the camera.
    assert choose_camera(topics(SPOT), {"rgb": "/camera/left/image"}) == trio
    # What is given is taken, whatever its frame.
    odd = choose_camera(topics(SPOT), {"rgb": "/camera/back/image", "depth": "/depth/back/image"})
    assert odd.info.name == "/camera/back/camera_info"


@pytest.mark.parametrize(
    ("layout", "told", "match"),
    [
        (
            "/scan sensor_msgs/msg/LaserScan base",
            {},
            "colour: none; depth: none; camera_info: none",
        ),
        (
            both("/c/color", "color 640x480", "rgb8") + both("/c/depth", "depth 640x480", "16UC1"),
            {},
            r"/c/depth/image_raw \(frame depth, 640x480\).*must be in the frame and of the size",
        ),
        (
            both("/c/color", "color 640x480", "rgb8") + both("/c/depth", "color 320x240", "16UC1"),
            {},
            "must be in the frame and of the size of colour",
        ),
        (
            "/c/color/h264 ffmpeg_image_transport_msgs/msg/FFMPEGPacket color",
            {},
            r"/c/color/h264: video \(H.264 and the like\) cannot be read message by message",
        ),
        ("/c/color/image_raw/compressed C color 8x8 h264", {}, "video .* cannot be read"),
        (ORBBEC, {"rgb": "/nowhere"}, "rgb_topic /nowhere is not there; there are /camera/color/"),
        (ORBBEC, {"info": "/camera/ir/image_raw"}, "info_topic .* must be of the type CameraInfo"),
        (ORBBEC, {"rgb": "/camera/ir/camera_info"}, "must be of the type Image or CompressedImage"),
        (ORBBEC, {"rgb": "/camera/ir/image_raw"}, "there is no complete camera"),
    ],
)
def test_no_camera_is_said_with_the_reason(layout, told, match):
    with pytest.raises(TopicError, match=match):
        choose_camera(topics(layout), told)


def test_names_that_say_rectified():
    rectified = ("/cam/image_rect", "/rgb/image_rect_color", "/cam/rect/image", "/cam/image-rect")
    assert all(Topic(name, "").rectified for name in (*rectified, "/cam/image_rect/compressed"))
    assert not any(Topic(name, "").rectified for name in ("/rect_robot/image_raw", "/rectangle/a"))
