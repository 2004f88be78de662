"""The web pages in a real browser: Chromium by its WebDriver, against the stack that `local/stack.py run` starts.

Shows what only a browser can: that hostile text stays text with the content security policy on, that all can be done
without JavaScript and by keyboard, at 320 px, in dark and at 200 % zoom, that a stale page says so, and that a refresh
takes nothing away from somebody who types. Takes the screenshots of docs/ on the way where SCREENSHOTS names a folder.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "local"))
from orders import Orders, example  # noqa: E402
from stack import ROOT, StackError, free_port, until  # noqa: E402

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
EVIL = "<img src=x onerror=document.title='hacked'>\u202e" + "W" * 150 + "🍕"
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
SCREENSHOTS = os.environ.get("SCREENSHOTS")


class Browser:
    """One window of Chromium."""

    def __init__(self, driver, javascript=True, dark=False, size=(1280, 900)):
        arguments = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--no-proxy-server", "--hide-scrollbars"]
        options = {"args": arguments, "prefs": {} if javascript else {"profile.managed_default_content_settings.javascript": 2}}
        if dark:
            arguments.append("--blink-settings=preferredColorScheme=0")
        self.driver = driver
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self.session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        self.size(*size)
        if dark:
            self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.driver + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with DIRECT.open(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise StackError(f"{method} {path}: {error.read().decode()[:500]}") from None

    def do(self, method, path, body=None):
        return self.call(method, f"/session/{self.session}{path}", body)

    def cdp(self, command, **parameters):
        return self.do("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def size(self, width, height):
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def open(self, url):
        self.do("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        return self.do("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def find(self, selector):
        return self.do("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def click(self, selector):
        self.do("POST", f"/element/{self.find(selector)}/click", {})

    def type(self, selector, text):
        self.do("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def keys(self, text):
        actions = [step for key in text for step in ({"type": "keyDown", "value": key}, {"type": "keyUp", "value": key})]
        self.do("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def source(self):
        return self.do("GET", "/source")

    def text(self):
        return self.do("GET", f"/element/{self.find('body')}/text")

    def says(self, what, seconds=40):
        until(lambda: what in self.text(), f"“{what}” in the page", seconds)

    def errors(self):
        """What the browser complained about: scripts that failed, and what the policy refused."""
        said = self.do("POST", "/se/log", {"type": "browser"})
        return [line["message"] for line in said if line["level"] == "SEVERE" and "net::ERR" not in line["message"] and "favicon" not in line["message"]]

    def shoot(self, name):
        if SCREENSHOTS:
            image = self.do("GET", "/screenshot")
            Path(SCREENSHOTS, f"{name}.png").write_bytes(base64.b64decode(image))

    def fits(self):
        return self.run("return document.documentElement.scrollWidth <= window.innerWidth")

    def close(self):
        self.do("DELETE", "")


@contextmanager
def driver():
    found = shutil.which("chromedriver")
    if not found:
        raise StackError("there is no chromedriver: install Debian's chromium and chromium-driver")
    port = free_port()
    process = subprocess.Popen([found, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"

    def ready():
        try:
            return json.load(DIRECT.open(f"{address}/status", timeout=1))["value"]["ready"]
        except OSError:
            return False

    try:
        until(ready, "chromedriver", 20)
        yield address
    finally:
        process.terminate()
        process.wait()


def orderctl(*arguments):
    done = subprocess.run([ROOT / "target/debug/orderctl", "--output", "json", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise StackError(f"orderctl {' '.join(arguments)}: {done.stderr}")
    return json.loads(done.stdout)


def link(kind, name):
    return orderctl("link", kind, name)["url"]


ORDERS = Orders(os.environ)
number = 0


def place(restaurant, wait=True, **changes):
    """Places an order, and waits until its restaurant can see it; gives its id."""
    global number
    number += 1
    order = example(order_id=f"web-{os.getpid()}-{number}", restaurant_id=restaurant) | changes
    ORDERS.place(order)
    if wait:
        ORDERS.row_with("order_id", order)
    return order["order_id"]


def status(order):
    return ORDERS.item(order)["status"]["S"]


def test_a_restaurant_works_with_the_page_as_it_refreshes_itself(address):
    order = place("rest-page")
    browser = Browser(address)
    browser.open(link("restaurant", "rest-page"))
    browser.says("Margherita")
    browser.shoot("web-restaurant")
    later = place("rest-page", note="Ring twice")
    browser.says("Ring twice", 20)
    # The answer leaves the page where it is, without buttons until it is recorded.
    browser.run("window.same = true")
    browser.run(f"document.querySelector('#o-{order} select').value = '20'")
    browser.click(f"#o-{order} .yes")
    until(lambda: status(order) == "ACCEPTED", "acceptance")
    browser.says("Accepted at", 30)
    assert browser.run("return window.same === true"), "the page was left"
    assert status(later) == "PLACED"
    assert browser.errors() == [], browser.errors()
    browser.shoot("web-restaurant-answered")
    browser.close()


def test_a_refresh_never_takes_away_what_somebody_is_typing(address):
    first = place("rest-typing")
    browser = Browser(address)
    browser.open(link("restaurant", "rest-typing"))
    browser.click(f"#o-{first} summary")
    browser.type(f"#o-{first} [name=reason]", "We have no")
    second = place("rest-typing")
    until(lambda: browser.run(f"return !!document.getElementById('o-{second}')"), "second order")
    kept = browser.run(f"return [document.querySelector('#o-{first} [name=reason]').value, document.activeElement.name]")
    assert kept == ["We have no", "reason"], kept
    # Somebody else answers it: what was typed stays, with a sign.
    offer = {"restaurant_id": "rest-typing", "order_id": first}
    ORDERS.answer(ORDERS.token(offer), {"isAccepted": True})
    browser.says("This order waits no more", 30)
    assert browser.run(f"return document.querySelector('#o-{first} [name=reason]').value") == "We have no"
    browser.close()


def test_a_stale_page_never_looks_fresh(address):
    place("rest-stale")
    browser = Browser(address)
    browser.open(link("restaurant", "rest-stale"))
    browser.says("Margherita")
    browser.cdp("Network.enable")
    browser.cdp("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=-1, uploadThroughput=-1)
    browser.says("Not connected since", 30)
    covered = browser.run("const b = document.querySelector('.yes').getBoundingClientRect();"
                          "return document.elementFromPoint(b.x + 5, b.y + 5).id")
    assert covered == "lost", covered
    browser.shoot("web-not-connected")
    browser.cdp("Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1, uploadThroughput=-1)
    until(lambda: not browser.run("return !!document.getElementById('lost')"), "connection", 30)
    # The tablet's clock says nothing: it is an hour wrong here.
    browser.cdp("Page.enable")
    browser.cdp("Page.addScriptToEvaluateOnNewDocument", source="const real = Date.now; Date.now = () => real() - 3600000;")
    browser.do("POST", "/refresh", {})
    left = browser.run("return document.querySelector('[data-left]').textContent")
    assert int(left.split(":")[0]) < 10, left
    browser.close()


def test_hostile_text_is_text(address):
    restaurant = "rest-hostile"
    order = place(restaurant, note=EVIL, items=[{"name": EVIL, "quantity": 1, "unit_amount": 1}])
    browser = Browser(address, size=(320, 640))
    for kind, name in (("restaurant", restaurant), ("order", order), ("customer", order)):
        browser.open(link(kind, name))
        browser.says("onerror")
        assert browser.run("return document.title") != "hacked"
        assert browser.run("return document.images.length") == 0
        assert browser.fits(), f"{kind}: long words make the page wider than 320 px"
        assert browser.errors() == [], browser.errors()
    # And the policy is on: nothing inline runs.
    browser.run("const s = document.createElement('script'); s.textContent = 'window.inline = 1'; document.body.append(s)")
    assert browser.run("return window.inline") is None
    browser.close()


def test_without_javascript_all_can_be_done(address):
    order = place("rest-plain")
    browser = Browser(address, javascript=False)
    browser.open(link("restaurant", "rest-plain"))
    assert "min left" in browser.text() and "Look again" in browser.text(), browser.text()
    browser.click("select option:nth-child(3)")
    browser.click(".yes")
    until(lambda: status(order) == "ACCEPTED", "acceptance")
    browser.close()
    order = place("rest-plain")
    browser = Browser(address, javascript=False)
    browser.open(link("customer", order))
    browser.click("summary")
    browser.shoot("web-customer")
    browser.click("[value=cancel]")
    browser.click("[name=sure]")
    browser.shoot("web-confirm")
    browser.click("form button")
    until(lambda: status(order) == "CANCELLED", "cancellation")
    browser.open(link("customer", order))
    assert "Cancelled" in browser.text()
    browser.close()


def test_by_keyboard_at_320_px_in_dark_and_at_200_percent_all_can_be_done(address):
    order = place("rest-keys")
    browser = Browser(address, dark=True, size=(320, 640))
    browser.open(link("restaurant", "rest-keys"))
    browser.says("Margherita")
    assert browser.fits(), "the page is wider than 320 px"
    assert browser.run("return matchMedia('(prefers-color-scheme: dark)').matches")
    # 640 px at 200 % of zoom are 320 px to the page: the same as this.
    browser.shoot("web-restaurant-phone-dark")
    for _ in range(12):
        browser.keys("\ue004")
        if browser.run("return document.activeElement.name") == "minutes":
            break
    browser.keys("2")
    browser.keys("\ue004")
    assert browser.run("return document.activeElement.value") == "accept", "Tab does not lead from minutes to Accept"
    browser.keys("\ue007")
    until(lambda: status(order) == "ACCEPTED", "acceptance by keyboard")
    browser.close()


def test_an_order_is_answered_after_a_second_question(address):
    order = place("rest-one")
    browser = Browser(address)
    browser.open(link("order", order))
    browser.says("Margherita")
    browser.shoot("web-order")
    browser.run("document.querySelector('select').value = '15'")
    browser.click(".yes")
    browser.says("Accept this order, ready in 15 minutes?")
    # The question stays although the page looks again.
    time.sleep(11)
    browser.click("[name=sure]")
    browser.click("form button")
    browser.says("Accepted at")
    assert status(order) == "ACCEPTED"
    browser.close()


def main():
    names = sys.argv[1:]
    failed = []
    if not shutil.which("chromedriver") and not os.environ.get("CI"):
        print("Left out: the pages in a real browser. They need Debian's chromium and chromium-driver.", file=sys.stderr)
        return 0
    with driver() as address:
        for name, test in list(globals().items()):
            if name.startswith("test_") and (not names or any(each in name for each in names)):
                begun = time.monotonic()
                try:
                    test(address)
                    print(f"{name[5:].replace('_', ' ')}: {time.monotonic() - begun:.0f} s", flush=True)
                except (AssertionError, StackError) as error:
                    failed.append(name)
                    line = error.__traceback__.tb_next.tb_lineno
                    print(f"FAILED {name[5:].replace('_', ' ')}: line {line}: {error}", flush=True)
    return f"error: {len(failed)} failed" if failed else 0


if __name__ == "__main__":
    sys.exit(main())
