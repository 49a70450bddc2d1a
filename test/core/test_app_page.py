"""The page in a real browser: what two visitors see, and what a bad file says. Shipped weights."""

import socket

import numpy as np
import pytest
import recordings
from browser import Browser, find_chromium
from PIL import Image
from support import wait_for

from semabs_core.app.server import import_gradio, serve
from semabs_core.config import parse_config
from semabs_core.data.scene_file import built_in_scene, save_scene

pytest.importorskip("gradio", reason="the page needs the extra semabs[app]", exc_type=ImportError)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_chromium() is None, reason="there is no Chromium (apt: chromium)"),
]
CONFIG = {
    "encoder": {"precision": "fp32"},
    "completion": {"resolution": 32},
    "localization": {"resolution": 32},
}
TAB = "[...document.querySelectorAll('button[role=tab]')].find(e => e.innerText.includes('RGB-D'))"


@pytest.fixture(scope="module")
def address():
    from semabs_core.app.models import Models

    models = Models(parse_config(CONFIG), "cpu")
    import_gradio()
    from semabs_core.app.page import build_page

    page = build_page(models)
    yield serve(page, "127.0.0.1", 0, block=False)
    page.close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


def visit(browser, address):
    user = browser.user()
    user.open(address)
    user.wait("!!document.querySelector('#show')", "page")
    return user


def captions(user):
    found = "[...document.querySelectorAll('#panels .caption-label')].map(e => e.innerText.trim())"
    return user.js(found)


def type_labels(user, text):
    user.fill("#labels textarea", text)
    user.click("#show")


def wait_for_panels(user, *names):
    shown = "[...document.querySelectorAll('#panels .caption-label')].map(e => e.innerText)"
    user.wait(f"{shown}.length == {len(names)}", f"panels of {names}")
    found = captions(user)
    assert [caption.split(" (max")[0] for caption in found] == list(names)


def pixels(user, path):
    """What the browser shows."""
    user.screenshot(path)
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_two_visitors_at_once_see_their_own_words(browser, address, tmp_path):
    one, other = visit(browser, address), visit(browser, address)
    assert "shipped:encoder" in one.text()
    assert "things by name" in one.text()
    type_labels(one, "basket ball, fridge")
    type_labels(other, "stove")
    wait_for_panels(one, "basket ball", "fridge")
    wait_for_panels(other, "stove")
    # The orange ball is found: its panel differs from the picture by the colours of the map.
    shown = "document.querySelector('#panels img')"
    one.wait(f"{shown}.complete && {shown}.naturalWidth > 100", "first panel")
    before = one.js(f"{shown}.src")
    one.js(
        "(e => { e.value = 0.9; e.dispatchEvent(new Event('input', {bubbles: true}));"
        " e.dispatchEvent(new Event('change', {bubbles: true})); })"
        "(document.querySelector('#threshold input[type=range]'))"
    )
    one.wait(f"{shown}.src != {before!r}", "panels at another threshold")
    assert captions(other)[0].startswith("stove")


def test_a_scene_is_completed_and_searched_in_3d(browser, address, tmp_path):
    save_scene(built_in_scene(), tmp_path / "kitchen.npz")
    user = visit(browser, address)
    user.js(f"{TAB}.click()")
    user.wait("!!document.querySelector('#scene_file input[type=file]')", "file input")
    user.fill("#sentence textarea", "")
    user.upload("#scene_file input[type=file]", tmp_path / "kitchen.npz")
    # The scene's own words are filled in.
    filled = "document.querySelector('#sentence textarea').value"
    user.wait(f"{filled} == 'wine bottle in fridge'", "words of the scene")
    user.click("#ask")
    user.wait("document.querySelector('#said').innerText.includes('best point')", "answer")
    assert "“wine bottle in fridge”: found (probability" in user.text()
    assert "voxels" in user.js("document.querySelector('#legend').innerText")
    user.wait("!!document.querySelector('canvas')", "3D view")
    found = wait_for(lambda: drawn(user, tmp_path), 120, "scene in the 3D view")
    user.js("[...document.querySelectorAll('#shown input')].at(-1).click()")  # measured
    measured = wait_for(lambda: changed(user, tmp_path, found), 120, "another view")
    box = canvas_box(user)
    middle = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    user.drag(middle, (middle[0] + 150, middle[1] + 20))
    wait_for(lambda: changed(user, tmp_path, measured), 120, "view that was turned")


def canvas_box(user):
    return user.js(
        "(b => [b.left, b.top, b.right, b.bottom].map(Math.round))"
        "(document.querySelector('canvas').getBoundingClientRect())"
    )


def drawn(user, folder):
    """The 3D view's picture, as bytes; None while it is blank."""
    left, top, right, bottom = canvas_box(user)
    view = pixels(user, folder / "view.png")[top + 40 : bottom, left:right]
    return view.astype(np.uint8).tobytes() if view.size and view.std() > 5 else None


def changed(user, folder, before):
    """The 3D view's picture once a visible part of it differs."""
    view = drawn(user, folder)
    if view is None or len(view) != len(before):
        return None
    now, then = (np.frombuffer(part, np.uint8).astype(int) for part in (view, before))
    return view if (abs(now - then) > 20).mean() > 0.01 else None


def test_pictures_with_depth_and_recordings_are_read_as_on_the_command_line(
    browser, address, tmp_path
):
    """Colour, depth and intrinsics; then a recording in one file, and what is told of it."""
    frame = built_in_scene().frame(0)
    Image.fromarray(frame.rgb).save(tmp_path / "color.png")
    depth = np.nan_to_num(frame.depth_m * 1000).astype(np.uint16)
    Image.fromarray(depth).save(tmp_path / "depth.png")
    K = " ".join(f"{frame.K[row, column]:.2f}" for row, column in ((0, 0), (1, 1), (0, 2), (1, 2)))
    user = visit(browser, address)
    user.js(f"{TAB}.click()")
    user.wait("!!document.querySelector('#scene_file input[type=file]')", "file input")
    bag = recordings.write(tmp_path / "bag", recordings.messages(2), "MCAP")
    user.upload("#scene_file input[type=file]", next(bag.glob("*.mcap")))
    told = "document.querySelector('#recognised').innerText"
    user.wait(f"{told}.includes('frames 0 to 1') && {told}.includes('map')", "what is recognised")
    user.js(
        "[...document.querySelectorAll('button')]"
        ".find(e => e.innerText.includes('a colour picture and its depth')).click()"
    )
    user.wait("!!document.querySelector('#color_file input[type=file]')", "picture input")
    user.upload("#color_file input[type=file]", tmp_path / "color.png")
    user.upload("#depth_file input[type=file]", tmp_path / "depth.png")
    user.fill("#intrinsics textarea, #intrinsics input", K)
    for name in ("color", "depth"):
        user.wait(f"document.querySelector('#{name}_file').innerText.includes('png')", name)
    user.fill("#classes textarea", "fridge, stove, floor")
    user.fill("#sentence textarea", "")
    user.click("#ask")
    said_in_toast(user, "a file and pictures are given: remove one of the two")
    clear = "/remove|clear/i.test(e.title + e.ariaLabel)"
    user.js(f"[...document.querySelectorAll('#scene_file button')].find(e => {clear}).click()")
    user.wait("!!document.querySelector('#scene_file input[type=file]')", "empty file field")
    user.click("#ask")
    legend = "document.querySelector('#legend').innerText"
    user.wait(f"{legend}.includes('stove') && {legend}.includes('voxels')", "answer")
    # No pose was told: what stands in for it is said with the answer.
    assert "up is estimated" in user.js("document.querySelector('#said').innerText")
    assert int(user.js(legend).split("fridge")[1].split("voxels")[0].replace(",", "")) > 100


def said_in_toast(user, text):
    user.wait(f"document.body.innerText.includes({text!r})", f"message {text!r}")


def test_bad_files_and_words_are_messages(browser, address, tmp_path):
    user = visit(browser, address)
    type_labels(user, " , ")
    said_in_toast(user, "type at least one label")
    (tmp_path / "notes.png").write_text("no picture at all")
    clear = (
        "[...document.querySelectorAll('#picture button')].find(e => /remove|clear/i.test(e.title))"
    )
    user.js(f"{clear}.click()")
    user.wait("!!document.querySelector('#picture input[type=file]')", "picture input")
    user.upload("#picture input[type=file]", tmp_path / "notes.png")
    user.wait("!!document.querySelector('#picture img')", "uploaded file")
    type_labels(user, "mug")
    said_in_toast(user, "notes.png cannot be read: it is no picture, or cut off")
    user.js(f"{TAB}.click()")
    user.wait("!!document.querySelector('#scene_file input[type=file]')", "file input")
    (tmp_path / "scene.npz").write_bytes(b"PK no scene")
    user.upload("#scene_file input[type=file]", tmp_path / "scene.npz")
    said_in_toast(user, "no scene file")
    user.fill("#classes textarea", "mug")
    user.click("#ask")
    said_in_toast(user, "scene.npz is damaged or no scene file")


def test_the_page_asks_nobody_else(browser, address):
    user = visit(browser, address)
    assert user.requested()
    other = [
        url for url in user.requested()
        if not url.startswith((address, "data:", "blob:", address.replace("http", "ws")))
    ]  # fmt: skip
    assert other == []
    # Without a network a fetch fails in any case: what counts is that the browser refuses it.
    refused = user.js(
        "new Promise(done => {"
        " addEventListener('securitypolicyviolation', e => done(e.effectiveDirective));"
        " fetch('https://example.com').catch(() => 0)"
        ".then(() => setTimeout(done, 5000, 'nothing')); })"
    )
    assert refused == "connect-src"


def test_a_port_that_is_taken_is_an_error():
    import gradio as gr

    from semabs_core.app.models import Models  # noqa: F401  (as the command has it loaded)

    with socket.socket() as taken, gr.Blocks() as page:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=str(port)):
            serve(page, "127.0.0.1", port, block=False)
