"""The pictures of the web page in docs/images: ``python scripts/page_pictures.py [FOLDER]``.

As a visitor sees it in headless Chromium: the built-in room, by the models of the demo.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path += [str(ROOT), str(ROOT / "test" / "core")]

import numpy as np  # noqa: E402
from browser import Browser, User  # noqa: E402
from PIL import Image  # noqa: E402

from semabs_core.app.models import Models  # noqa: E402
from semabs_core.app.server import import_gradio, serve  # noqa: E402
from semabs_core.config import load_config  # noqa: E402
from semabs_core.visualize.png import UNSEEN, write_png  # noqa: E402

PANELS = "[...document.querySelectorAll('#panels img')]"
TAB = "[...document.querySelectorAll('button[role=tab]')].find(e => e.innerText.includes('RGB-D'))"
VIEW = "document.querySelector('canvas').getBoundingClientRect()"


def show_relevancy(user: User) -> None:
    """Press the first tab's button and wait for the panels."""
    user.click("#show")
    shown = f"{PANELS}.length > 1 && {PANELS}.every(e => e.complete && e.naturalWidth > 100)"
    user.wait(shown, "panels of the picture", 300)


def ask_scene(user: User, file: Path) -> None:
    """Ask what the second tab suggests and wait until the answer is drawn, its red cubes last."""
    user.js(f"{TAB}.click()")
    user.click("#ask")
    user.wait("document.querySelector('#said').innerText.includes('best point')", "answer", 300)
    user.wait("!!document.querySelector('canvas')", "3D view")
    deadline, before = time.monotonic() + 300, b""
    while time.monotonic() < deadline:
        user.screenshot(file)
        box = user.js(f"(b => [b.left, b.top, b.right, b.bottom].map(Math.round))({VIEW})")
        view = np.asarray(Image.open(file).convert("RGB").crop(box)).astype(int)
        red = (view[..., 0] > 120) & (view[..., 1:] < 80).all(axis=2)
        if red.sum() > 1000 and view.tobytes() == before:
            return
        before = view.tobytes()
        time.sleep(2)
    raise SystemExit("the 3D view shows no answer")


def main() -> None:
    """Write both pictures."""
    folder = Path(sys.argv[1]) if sys.argv[1:] else ROOT / "docs" / "images"
    models = Models(load_config("demo.yaml"), "cpu")
    import_gradio()
    from semabs_core.app.page import build_page

    page = build_page(models)
    address = serve(page, "127.0.0.1", 0, block=False)
    with tempfile.TemporaryDirectory() as home:
        browser = Browser(Path(home))
        try:
            user = browser.user()
            user.open(address)
            show_relevancy(user)
            user.screenshot(folder / "app_picture.png")
            ask_scene(user, folder / "app_scene.png")
        finally:
            browser.close()
            page.close()
    scene, panels = folder / "app_scene.png", folder / "app_picture.png"
    write_png(np.asarray(Image.open(scene).convert("RGB")), scene, UNSEEN)
    few = Image.open(panels).convert("RGB").quantize(128, dither=Image.Dither.NONE)
    few.save(panels, optimize=True)  # 13 photographs: less than half the bytes


if __name__ == "__main__":
    main()
