"""A real headless browser, spoken to over two pipes in the DevTools protocol; its network is cut."""

import base64
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-extensions", "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe",
)  # fmt: skip


def program() -> str | None:
    """The browser that is installed, if any."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One page of a browser. ``problems``: what went wrong in it; ``requests``: every address that it asked for."""

    def __init__(self, home: Path) -> None:
        (read_in, write_in), (read_out, write_out) = os.pipe(), os.pipe()
        found = program()
        assert found is not None
        words = [found, *FLAGS, f"--user-data-dir={home}", "about:blank"]
        shell = ["bash", "-c", f'exec "$@" 3<&{read_in} 4>&{write_out}', "bash", *words]
        self.process = subprocess.Popen(
            shell, pass_fds=(read_in, write_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(read_in)
        os.close(write_out)
        self.into, self.out, self.last = os.fdopen(write_in, "wb"), os.fdopen(read_out, "rb"), 0
        self.problems: list[str] = []
        self.requests: list[str] = []
        self.fired: set[str] = set()
        self.session = ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.process.terminate()
        self.process.wait(10)
        self.into.close()
        self.out.close()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to one command; events on the way are kept."""
        self.last += 1
        message = {"id": self.last, "method": method, "params": parameters}
        self.into.write(json.dumps(message | ({"sessionId": self.session} if self.session else {})).encode() + b"\0")
        self.into.flush()
        while (answer := self._message()).get("id") != self.last:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def _message(self) -> dict[str, Any]:
        parts = bytearray()
        while (byte := self.out.read(1)) != b"\0":
            assert byte, "the browser has ended"
            parts += byte
        message = json.loads(parts)
        self._event(message.get("method", ""), message.get("params", {}))
        return message

    def _event(self, name: str, told: dict[str, Any]) -> None:
        self.fired.add(name)
        if name == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif name == "Runtime.exceptionThrown":
            details = told["exceptionDetails"]
            self.problems.append(details.get("exception", {}).get("description") or details["text"])
        elif name == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
            self.problems.append(str(told["args"]))
        elif name == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.problems.append(told["entry"]["text"])

    def open(self, address: str, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """A page of that size, loaded anew."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url="about:blank")
        self.requests.clear()
        self.problems.clear()
        self.fired.discard("Page.loadEventFired")
        self.call("Page.navigate", url=address)
        end = time.monotonic() + 60
        while self.value("document.readyState === 'complete' && Boolean(window.explorer)") is not True:
            assert time.monotonic() < end, self.problems
            time.sleep(0.05)

    def value(self, expression: str) -> Any:
        """What an expression is in the page."""
        asked = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in asked, asked
        return asked["result"].get("value")

    def press(self, key: str) -> None:
        """A key, as a user presses it."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key)

    def click(self, selector: str) -> None:
        """The middle of the first element of that kind, as a user's mouse clicks it."""
        place = self.value(
            f"(() => {{ const one = document.querySelector({json.dumps(selector)}); one.scrollIntoView({{block: 'center'}});"
            "const {x, y, width, height} = one.getBoundingClientRect(); return [x + width / 2, y + height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    def picture(self, path: Path) -> None:
        """The whole page as a PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(shot["data"]))
