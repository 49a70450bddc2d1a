"""Headless Chromium, driven over its DevTools pipe: no driver and no Python package needed."""

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import time

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_chromium():
    """The browser's program, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One Chromium; every `user()` has cookies and storage of its own."""

    def __init__(self, folder):
        (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()
        command = [
            "bash", "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', "chromium", find_chromium(),
            "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-dev-shm-usage",
            "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
            "--hide-scrollbars", "--window-size=1400,1100", "--disable-background-networking",
            "--disable-component-update", "--no-first-run", f"--user-data-dir={folder}",
        ]  # fmt: skip
        self.log = (folder / "chromium.log").open("wb")
        self.process = subprocess.Popen(
            command, pass_fds=(theirs_in, theirs_out), stdout=self.log, stderr=self.log,
            env={**os.environ, "HOME": str(folder)},
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        self._in, self._out, self._buffer = ours_in, ours_out, b""
        self._numbers, self._answers = itertools.count(1), {}
        self.events = []

    def call(self, method, session=None, **parameters):
        """One command of the DevTools protocol; returns its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        message |= {"sessionId": session} if session else {}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + 120
        while number not in self._answers:
            assert time.monotonic() < deadline, f"Chromium does not answer {method}"
            self.listen(1.0)
        answer = self._answers.pop(number)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def listen(self, seconds):
        """Take in what the browser says."""
        if not select.select([self._in], [], [], seconds)[0]:
            return
        data = os.read(self._in, 2**20)
        assert data, "Chromium ended"
        *messages, self._buffer = (self._buffer + data).split(b"\0")
        for message in map(json.loads, messages):
            if "id" in message:
                self._answers[message["id"]] = message
            else:
                self.events.append(message)

    def user(self):
        context = self.call("Target.createBrowserContext")["browserContextId"]
        return User(self, context)

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self._in)
        os.close(self._out)
        self.log.close()


class User:
    """One visitor with one tab."""

    def __init__(self, browser, context):
        self.browser = browser
        target = browser.call("Target.createTarget", url="about:blank", browserContextId=context)
        attached = browser.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "DOM"):
            self(f"{domain}.enable")

    def __call__(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def js(self, code):
        """The value of a JavaScript expression."""
        answer = self("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, code, what, timeout=120.0):
        """Wait until an expression is true; returns its value."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            value = self.js(code)
            if value:
                return value
            self.browser.listen(0.1)
        raise AssertionError(f"no {what} within {timeout} s; the page: {self.text()[:2000]}")

    def text(self):
        return self.js("document.body.innerText")

    def open(self, address):
        self("Page.navigate", url=address)

    def click(self, selector):
        self.wait(f"!!document.querySelector({selector!r})", selector)
        self.js(f"document.querySelector({selector!r}).click()")

    def fill(self, selector, text):
        """Put the cursor into a field, select what is there and type over it."""
        self.wait(f"!!document.querySelector({selector!r})", selector)
        self.js(f"(e => {{ e.focus(); e.select(); }})(document.querySelector({selector!r}))")
        self("Input.insertText", text=text)

    def drag(self, start, end, steps=10):
        """Press the mouse at a place of the window, move it, and let go."""
        held = dict(button="left", buttons=1, clickCount=1)
        self("Input.dispatchMouseEvent", type="mousePressed", x=start[0], y=start[1], **held)
        for i in range(1, steps + 1):
            x, y = (a + (b - a) * i / steps for a, b in zip(start, end))
            self("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, button="left", buttons=1)
        self("Input.dispatchMouseEvent", type="mouseReleased", x=end[0], y=end[1], button="left")

    def upload(self, selector, path):
        root = self("DOM.getDocument")["root"]["nodeId"]
        found = self("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        assert found, f"no {selector}"
        self("DOM.setFileInputFiles", nodeId=found, files=[str(path)])

    def screenshot(self, path):
        data = self("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))

    def requested(self):
        """Every address that the tab asked for and that was not blocked."""
        return [
            event["params"]["request"]["url"]
            for event in self.browser.events
            if event.get("sessionId") == self.session
            and event["method"] == "Network.requestWillBeSent"
        ]
