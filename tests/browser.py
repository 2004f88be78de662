"""The web pages in a real browser by its WebDriver, against the stack that `local/stack.py run` starts: in Chromium, or with
BROWSER=webkit in WebKit (Debian's webkit2gtk-driver and xvfb), which cannot emulate all that Chromium can.

Shows what only a browser can: that hostile text stays text with the content security policy on, that all can be done
without JavaScript and by keyboard, at 320 px, in dark and at 200 % zoom, that axe-core finds nothing to mend, that a new
order sounds, that a stale page says so and recovers, and that a refresh takes nothing away from somebody who types. Takes
the screenshots of docs/ on the way where SCREENSHOTS names a folder.

The clock of a page stands still until a test moves it, so that a test says exactly what the page does after how many
seconds, and takes no such time itself.
"""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "local"))
from orders import Orders, example  # noqa: E402
from stack import ROOT, StackError, free_port, target, until  # noqa: E402

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
EVIL = "<img src=x onerror=document.title='hacked'>שלום" + "W" * 150 + "🍕"
# WCAG asks for 200 % of zoom (1.4.4) and for 320 px (1.4.10). Zoom makes the layout narrower and each of its pixels larger:
# a window of 1280 px at 200 % is a layout of 640 px at a scale of 2.
ZOOMED = {"width": 640, "height": 450, "scale": 2}
NARROW = {"width": 320, "height": 640, "scale": 1}
AXE = ROOT / ".local" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
SCREENSHOTS = os.environ.get("SCREENSHOTS")


# A page's clock, in place of the browser's: it moves by `clock.forward` alone, which runs each timer that is due on the way
# and waits for what that asks the server. Timers below a tenth of a second run as ever: they only let something else go first.
CLOCK = """
window.clock || (() => {
    const real = {}, begun = Date.now(), ran = performance.now(), timers = new Map();
    let passed = 0, last = 1e9, asking = 0;
    for (const each of ["fetch", "setTimeout", "clearTimeout"]) real[each] = window[each].bind(window);
    window.Date = class extends Date {
        constructor(...when) { when.length ? super(...when) : super(begun + passed); }
        static now() { return begun + passed; }
    };
    performance.now = () => ran + passed;
    const timer = (again) => (run, wait = 0, ...told) => {
        if (wait < 100) return real.setTimeout(run, wait, ...told);
        timers.set(++last, { run: () => run(...told), due: passed + wait, again: again && wait });
        return last;
    };
    window.setTimeout = timer(false);
    window.setInterval = timer(true);
    window.clearTimeout = window.clearInterval = (id) => timers.delete(id) || real.clearTimeout(id);
    window.fetch = async (...asked) => {
        asking++;
        try {
            const answer = await real.fetch(...asked);
            const text = await answer.text();
            answer.text = async () => text;
            return answer;
        } finally { asking--; }
    };
    const quiet = async () => { do await new Promise((done) => real.setTimeout(done)); while (asking); };
    window.clock = { async forward(time) {
        const until = passed + time;
        for (await quiet(); ; await quiet()) {
            const [next] = [...timers].filter(([, { due }]) => due <= until).sort(([, one], [, other]) => one.due - other.due);
            if (!next) break;
            const [id, { run, due, again }] = next;
            passed = due;
            if (again) timers.get(id).due += again; else timers.delete(id);
            run();
        }
        passed = until;
    } };
})()"""


class Browser:
    """One window of Chromium."""

    DRIVER = ["chromedriver"]

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
            self.scheme("dark")
        if javascript:
            self.before_each_page(CLOCK)

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

    def size(self, width, height, scale=1):
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False)

    def scheme(self, name):
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def before_each_page(self, script):
        self.cdp("Page.enable")
        self.cdp("Page.addScriptToEvaluateOnNewDocument", source=script)

    def open(self, url):
        self.do("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        return self.do("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def find(self, selector):
        """An element, once the page has it: a form may still be on its way to the page that it leads to."""
        found = until(lambda: self.do("POST", "/elements", {"using": "css selector", "value": selector}), f"{selector} in the page")
        return found[0][ELEMENT]

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

    def forward(self, seconds):
        """Lets so much time pass on the page, whatever that takes."""
        try:
            script = "const [time, done] = arguments; clock.forward(time).then(() => done(), (error) => done(String(error)))"
            failed = self.do("POST", "/execute/async", {"args": [1000 * seconds], "script": script})
            assert not failed, f"while time passed on the page: {failed}"
        except StackError as error:
            # The page has loaded itself anew, and its clock began again.
            if "unloaded" not in str(error) and "navigation" not in str(error):
                raise

    def until(self, look, what):
        """Looks until there is something, while time passes on the page."""

        def looked():
            found = look()
            if not found:
                self.forward(1)
            return found

        return until(looked, what)

    def says(self, what):
        self.until(lambda: what in self.text(), f"“{what}” in the page")

    def shows(self, what):
        assert what in self.text(), f"no “{what}” in the page: {self.text()}"

    def shows_not(self, what):
        assert what not in self.text(), f"“{what}” is in the page: {self.text()}"

    def looks(self):
        """How often the page has asked for itself."""
        return self.run("return performance.getEntriesByType('resource').filter((each) => each.name === location.href).length")

    def errors(self):
        """What the browser complained about: scripts that failed, and what the policy refused."""
        said = self.do("POST", "/se/log", {"type": "browser"})
        # The network's complaints are what the tests make of it.
        return [line["message"] for line in said if line["level"] == "SEVERE" and line["source"] != "network"]

    def shoot(self, name):
        if SCREENSHOTS:
            image = self.do("GET", "/screenshot")
            Path(SCREENSHOTS, f"{name}.png").write_bytes(base64.b64decode(image))

    def cut_off(self):
        """What does not fit into the window's width."""
        return self.run("""
            const wide = (box) => box.width && (box.left < 0 || box.right > innerWidth + 1);
            const cut = [...document.body.querySelectorAll("*")].filter((e) => wide(e.getBoundingClientRect())
                || e.matches("button,summary,label") && e.scrollWidth > e.clientWidth + 1).map((e) => e.outerHTML.slice(0, 100));
            const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), range = document.createRange();
            while (texts.nextNode()) {
                range.selectNodeContents(texts.currentNode);
                if (wide(range.getBoundingClientRect())) cut.push(texts.currentNode.data.slice(0, 100));
            }
            if (document.documentElement.scrollWidth > innerWidth) cut.push("the page scrolls sideways");
            return cut;""")

    def is_for_everybody(self, page):
        """Shows a page at 200 % of zoom, at 320 px, and to axe-core, in light and in dark."""
        shown = self.run("return [innerWidth, innerHeight, devicePixelRatio, matchMedia('(prefers-color-scheme: dark)').matches]")
        for size in (ZOOMED, NARROW):
            self.size(**size)
            cut = self.cut_off()
            assert not cut, f"{page}: cut off in a layout of {size['width']} px: {cut}"
        self.size(*shown[:3])
        # What WebDriver runs is not bound by the page's content security policy, which stays as it is.
        self.run(AXE.read_text())
        for scheme in ("light", "dark"):
            self.scheme(scheme)
            found = self.do("POST", "/execute/async", {"args": [RULES], "script": """
                const [tags, done] = arguments;
                axe.run({runOnly: tags, resultTypes: ["violations"]}).then((found) => done({passes: found.passes.length,
                    violations: found.violations.map((rule) => [rule.id, rule.help, ...rule.nodes.map((node) => node.html)])}),
                    (error) => done({violations: [String(error)]}));"""})
            assert not found["violations"], f"{page}, {scheme}: {json.dumps(found['violations'], indent=1)}"
            assert found["passes"] > 10, f"{page}, {scheme}: axe-core looked at nothing"
        self.scheme("dark" if shown[3] else "light")

    def close(self):
        errors = self.errors()
        assert errors == [], errors
        self.do("DELETE", "")


class WebKit(Browser):
    """One window of WebKit. Its driver emulates no connection, screen or color scheme: what needs that is left out."""

    DRIVER = ["xvfb-run", "--auto-servernum", "--server-args=-screen 0 1400x1000x24", "WebKitWebDriver"]
    PROGRAM = next(Path("/usr/lib").glob("*/webkit2gtk-4.*/MiniBrowser"), None)

    def __init__(self, driver, javascript=True, dark=False, size=(1280, 900)):
        arguments = ["--automation", f"--enable-javascript={str(javascript).lower()}", *(["--dark-mode"] if dark else [])]
        options = {"binary": str(self.PROGRAM), "args": arguments}
        wanted = {"browserName": "MiniBrowser", "webkitgtk:browserOptions": options}
        self.driver = driver
        self.session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        self.size(*size)

    def open(self, url):
        super().open(url)
        self.run(CLOCK)

    def forward(self, seconds):
        # Its driver runs nothing before a page's own script, whose first timers are those of the browser: this look sets others.
        if self.run(CLOCK + "; const first = !clock.looked; clock.looked = true; return first"):
            self.run("dispatchEvent(new Event('online'))")
        super().forward(seconds)

    def size(self, width, height, scale=1):
        self.do("POST", "/window/rect", {"width": width, "height": height})

    def scheme(self, name):
        pass

    def text(self):
        # The driver's own way fails on the body.
        return self.run("return document.body.innerText")

    def errors(self):
        return []


BROWSER = WebKit if os.environ.get("BROWSER") == "webkit" else Browser


@contextmanager
def driver():
    # Chromium's driver takes a free port and says which. WebKit's cannot.
    port = free_port() if BROWSER is WebKit else 0
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [*BROWSER.DRIVER, f"--port={port}"], stdout=said, stderr=subprocess.DEVNULL, start_new_session=True
        )

        def address():
            told = re.search(rb"started successfully on port (\d+)", os.pread(said.fileno(), 10_000, 0))
            return f"http://127.0.0.1:{port or int(told[1])}" if port or told else None

        def ready():
            try:
                return json.load(DIRECT.open(f"{address()}/status", timeout=1))["value"]["ready"]
            except OSError:
                return False

        try:
            # Three start at once, beside compilers: on two processors that took over 20 s.
            until(lambda: address() and ready(), "the browser's driver", 120)
            yield address()
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def orderctl(*arguments):
    done = subprocess.run([target() / "debug/orderctl", "--output", "json", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise StackError(f"orderctl {' '.join(arguments)}: {done.stderr}")
    return json.loads(done.stdout)


def link(kind, name, *options):
    return orderctl("link", kind, name, *options)["url"]


def in_chromium_alone(test):
    """Marks a test that cuts the connection, or counts on a page's clock from its first moment: only Chromium's driver can."""
    test.in_chromium_alone = True
    return test


ORDERS = Orders(os.environ)
NUMBERS = count(1)


def place(restaurant, wait=True, **changes):
    """Places an order, and waits until its restaurant can see it; gives its id."""
    order = example(order_id=f"web-{os.getpid()}-{next(NUMBERS)}", restaurant_id=restaurant) | changes
    ORDERS.place(order)
    if wait:
        ORDERS.row_with("order_id", order)
    return order["order_id"]


def status(order):
    return ORDERS.item(order)["status"]["S"]


def accept(browser, order):
    """Presses Accept on an order's card, ready in 20 minutes."""
    browser.run(f"document.querySelector('#o-{order} select').value = '20'")
    browser.click(f"#o-{order} [value=accept]")


def test_a_restaurant_works_with_the_page_as_it_refreshes_itself(address):
    order = place("rest-page")
    browser = BROWSER(address)
    browser.open(link("restaurant", "rest-page"))
    browser.says("Margherita")
    # Notes each tone, with whether it can be heard, and each wake lock.
    browser.run("""
        window.told = { tones: [], locks: [] };
        const start = AudioScheduledSourceNode.prototype.start, request = WakeLock.prototype.request;
        AudioScheduledSourceNode.prototype.start = function (...when) {
            told.tones.push(this.context.state);
            return start.apply(this, when);
        };
        WakeLock.prototype.request = function (kind) {
            told.locks.push(kind);
            return request.call(this, kind);
        };""")
    browser.says("Sound is off")
    browser.click("#sound")
    browser.says("Sound is on")
    told = browser.run("return told")
    assert told["locks"] == ["screen"], f"wake locks asked for: {told}"
    tones = len(told["tones"])
    assert tones > 0, "the button does not sound"
    # The tab comes back from behind another one, and asks for the wake lock again, which it lost there. WebKit's driver leaves
    # it visible.
    if BROWSER is not WebKit:
        ours = browser.do("GET", "/window")
        other = browser.do("POST", "/window/new", {"type": "tab"})["handle"]
        browser.do("POST", "/window", {"handle": other})
        browser.do("POST", "/window", {"handle": ours})
        until(lambda: browser.run("return told.locks.length") == 2, "second wake lock")
    later = place("rest-page", note="Ring twice")
    browser.says("Ring twice")
    told = browser.run("return told")
    assert told["tones"][tones:] and set(told["tones"][tones:]) == {"running"}, f"a new order does not sound: {told}"
    tones = len(told["tones"])
    # The answer leaves the page where it is, without buttons until it is recorded.
    browser.run("window.same = true")
    accept(browser, order)
    until(lambda: status(order) == "ACCEPTED", "acceptance")
    browser.says("Accepted at")
    assert browser.run("return window.same === true"), "the page was left"
    assert status(later) == "PLACED"
    assert browser.run("return told.tones.length") == tones, "what is no new order sounds"
    browser.click("#sound")
    browser.says("Sound is off")
    browser.shoot("web-restaurant-answered")
    browser.click("summary")
    browser.is_for_everybody("a restaurant's orders")
    browser.close()


def test_a_refresh_never_takes_away_what_somebody_is_typing(address):
    first = place("rest-typing")
    browser = BROWSER(address)
    browser.open(link("restaurant", "rest-typing"))
    browser.click(f"#o-{first} summary")
    browser.type(f"#o-{first} [name=reason]", "We have no")
    second = place("rest-typing")
    browser.until(lambda: browser.run(f"return !!document.getElementById('o-{second}')"), "second order")
    kept = browser.run(f"return [document.querySelector('#o-{first} [name=reason]').value, document.activeElement.name]")
    assert kept == ["We have no", "reason"], kept
    # Another minute has passed, as the server writes it. That is no change of the order. Another dish is one.
    browser.run("""
        const real = fetch;
        window.changed = [/\\d+ min</g, "3 min<"];
        window.fetch = async (url, asked) => {
            const answer = await real(url, {...asked, headers: {}});
            return new Response((await answer.text()).replace(...changed), answer);
        };""")
    browser.forward(7)
    browser.shows_not("changed while you were writing")
    browser.run("changed = [/Margherita/g, 'Calzone']")
    browser.forward(3)
    browser.shows("This order changed while you were writing")
    # Half-filled, it stays as well when the focus is elsewhere, and the other way round.
    for leave in ("document.activeElement.blur()", f"document.querySelector('#o-{first} [name=reason]').value = ''"):
        browser.run(leave)
        browser.forward(3)
        card = browser.run(f"return document.getElementById('o-{first}').textContent")
        assert "Margherita" in card, f"after {leave}, the card is another: {card}"
        browser.run(f"document.querySelector('#o-{first} [name=reason]').value = 'We have no'")
        browser.run(f"document.querySelector('#o-{first} [name=reason]').focus()")
    # Somebody else answers it: what was typed stays, with a sign.
    offer = {"restaurant_id": "rest-typing", "order_id": first}
    ORDERS.answer(ORDERS.token(offer), {"isAccepted": True})
    browser.says("This order waits no more")
    assert browser.run(f"return document.querySelector('#o-{first} [name=reason]').value") == "We have no"
    browser.close()


def test_what_the_pages_did_not_answer_never_makes_a_page_fresh(address):
    place("rest-proxy")
    browser = BROWSER(address)
    browser.open(link("restaurant", "rest-proxy"))
    browser.says("Margherita")
    # As a proxy that wants to be paid, or the API once the pages are gone.
    browser.run("window.fetch = async () => new Response('<main><h1>Welcome to our network</h1></main>')")
    browser.forward(14)
    browser.shows_not("Not connected")
    browser.forward(2)
    (browser.says if BROWSER is WebKit else browser.shows)("Not connected since")
    assert "Margherita" in browser.source(), "something else's answer is shown"
    browser.close()


def test_a_page_whose_link_has_ended_asks_no_more(address):
    browser = BROWSER(address)
    browser.open(link("restaurant", "rest-ended"))
    browser.says("No order waits")
    browser.run("""
        const real = fetch, start = AudioScheduledSourceNode.prototype.start;
        window.looks = window.tones = 0;
        window.fetch = (...asked) => { looks++; return real(...asked); };
        AudioScheduledSourceNode.prototype.start = function (...when) { tones++; return start.apply(this, when); };""")
    browser.click("#sound")
    browser.says("Sound is on")
    tones = browser.run("return tones")
    # To the pages, a link whose time is over is as one that was never signed.
    browser.run("history.replaceState(null, '', location.href.replace('&e=', '&e=1'))")
    browser.forward(11)
    browser.says("This link does not work")
    assert browser.run("return tones") > tones, "the end of a link does not sound"
    looks = browser.run("return looks")
    browser.forward(100)
    assert browser.run("return looks") == looks, "it asks again"
    browser.shows_not("Not connected")
    browser.close()


def test_a_page_of_an_order_that_has_ended_asks_no_more(address):
    order = place("rest-over")
    browser = BROWSER(address)
    # A mailer's additions are gone before the page looks.
    browser.open(link("customer", order) + "&utm_source=mail&fbclid=x")
    browser.says("has not answered yet")
    assert "utm_source" not in browser.run("return location.href")
    ORDERS.answer(ORDERS.token({"restaurant_id": "rest-over", "order_id": order}), {"isAccepted": True})
    browser.says("Accepted at")
    looks = browser.looks()
    browser.forward(100)
    assert browser.looks() == looks, "it asks again"
    browser.shows_not("Not connected")
    browser.close()


def test_an_answer_is_sent_though_its_page_cannot_be_shown(address):
    order = place("rest-sent")
    browser = BROWSER(address)
    browser.open(link("restaurant", "rest-sent"))
    browser.says("Margherita")
    browser.run("""
        // Older browsers do not know which button sent a form.
        const Data = FormData;
        window.FormData = function (form) { return new Data(form); };
        const real = fetch;
        window.fetch = async (...asked) => {
            const {url, redirected} = await real(...asked);
            if (!redirected) return real(...asked);
            window.fetch = real;
            const failed = new Response("<main><h1>The orders cannot be read at the moment.</h1></main>", {status: 503});
            return Object.defineProperties(failed, {url: {value: url}, redirected: {value: true}});
        };""")
    accept(browser, order)
    browser.says("What became of it shows here")
    assert browser.run(f"return document.querySelector('#o-{order} [value=accept]').disabled"), "it can be answered again"
    assert "/sent/" in browser.run("return location.pathname")
    browser.says("Accepted at")
    assert status(order) == "ACCEPTED"
    browser.close()


def test_answers_in_quick_succession_are_all_remembered(address):
    orders = [place("rest-quick"), place("rest-quick")]
    browser = BROWSER(address)
    browser.open(link("restaurant", "rest-quick"))
    browser.until(lambda: browser.run("return document.querySelectorAll('article').length") == 2, "two orders")
    # The second is pressed while the first is on its way.
    browser.run("""
        const real = fetch;
        window.fetch = async (...asked) => {
            if (asked[1].method === "POST") await new Promise((done) => setTimeout(done, 1000));
            return real(...asked);
        };""")
    for order in orders:
        accept(browser, order)
    browser.until(lambda: all(f"~{order}" in browser.run("return location.pathname") for order in orders), "memory of both answers")
    until(lambda: all(status(order) == "ACCEPTED" for order in orders), "two acceptances")
    browser.close()


def test_an_answer_that_hangs_is_given_up_and_the_page_goes_on(address):
    order = place("rest-hangs")
    browser = BROWSER(address)
    browser.open(link("restaurant", "rest-hangs"))
    browser.says("Margherita")
    browser.run("""
        window.real = fetch;
        window.looks = 0;
        window.fetch = (url, asked) => {
            looks++;
            if (asked.method !== "POST") return real(url, asked);
            return new Promise((_, failed) => asked.signal.addEventListener("abort", () => failed(new Error("given up"))));
        };""")
    accept(browser, order)
    browser.forward(7.9)
    browser.shows_not("it is not known")
    browser.forward(0.1)
    browser.shows("it is not known whether this arrived")
    looks = browser.run("return looks")
    browser.forward(3)
    assert browser.run("return looks") == looks + 1, "it does not look after the answer"
    browser.run("window.fetch = real")
    browser.click(f"#o-{order} [value=accept]")
    until(lambda: status(order) == "ACCEPTED", "acceptance")
    browser.close()


def test_what_a_kitchen_must_notice_sounds(address):
    browser = BROWSER(address)
    browser.open(link("restaurant", "rest-silent"))
    browser.says("No order waits")
    browser.run("""
        window.told = { tones: 0, released: 0 };
        const start = AudioScheduledSourceNode.prototype.start, release = WakeLockSentinel.prototype.release;
        AudioScheduledSourceNode.prototype.start = function (...when) { told.tones++; return start.apply(this, when); };
        WakeLockSentinel.prototype.release = function () { told.released++; return release.call(this); };""")
    # Whoever turns the sound on hears whether the tablet is loud enough, though nothing waits.
    browser.click("#sound")
    browser.says("Sound is on")
    tones = browser.run("return told.tones")
    assert tones > 0, "the button does not sound while no order waits"
    browser.run("window.real = fetch; window.fetch = async () => { throw new Error('no network'); }")
    browser.says("Not connected since")
    assert browser.run("return told.tones") > tones, "a lost connection does not sound"
    browser.run("window.fetch = real")
    browser.forward(4)
    browser.shows_not("Not connected")
    browser.click("#sound")
    browser.says("Sound is off")
    if BROWSER is not WebKit:
        assert browser.run("return told.released") == 1, "the screen is kept on without the sound"
    browser.close()


def test_a_page_from_before_a_deployment_loads_the_new_one(address):
    browser = BROWSER(address)
    browser.open(link("restaurant", "rest-deployed"))
    browser.says("No order waits")
    browser.click("#sound")
    browser.says("Sound is on")
    browser.run("""
        window.same = true;
        const real = fetch;
        window.fetch = async (...asked) => {
            const answer = await real(...asked), text = await answer.text();
            return new Response(text.replace(/page\\.js\\?v=\\w+/, "page.js?v=new") || null, answer);
        };""")
    # It would be silent then, so somebody has to do it.
    browser.says("There is a new version of this page")
    assert browser.run("return window.same === true"), "it was loaded anew though it sounds"
    browser.click("#sound")
    browser.until(lambda: not browser.run("return window.same === true"), "new page")
    browser.close()


@in_chromium_alone
def test_a_page_asks_as_often_as_it_must_and_counts_in_between(address):
    place("rest-times")
    browser = BROWSER(address)
    browser.open(link("restaurant", "rest-times"))
    browser.says("Margherita")
    # Each look, by how many seconds it came after the one before; `broken` is what it meets.
    browser.run("""
        const real = fetch;
        let last = performance.now();
        window.gaps = [];
        window.broken = null;
        window.fetch = (url, asked) => {
            gaps.push(Math.round(performance.now() - last) / 1000);
            last = performance.now();
            return broken ? broken(asked.signal) : real(url, asked);
        };""")
    gaps = lambda: browser.run("return gaps.splice(0)")
    left = lambda: sum(int(part) * unit for part, unit in zip(browser.run(
        "return document.querySelector('.left time').textContent").split(":"), (60, 1)))
    browser.forward(9)
    assert gaps() == [3, 3, 3], "while an order waits"
    before = left()
    browser.forward(2)
    assert before - left() == 2, "the time left does not go by"
    browser.run("document.dispatchEvent(new Event('visibilitychange'))")
    browser.forward(0)
    assert gaps() == [2], "a page that comes into view"
    browser.run("dispatchEvent(new Event('online'))")
    browser.forward(0)
    assert gaps() == [0], "a connection that comes back"
    # A look that hangs is given up after 5 s, and tried again 3 to 4 s later.
    browser.run("broken = (signal) => new Promise((_, failed) => signal.addEventListener('abort', () => failed(new Error('given up'))))")
    browser.forward(12)
    found = gaps()
    assert len(found) == 2 and found[0] == 3 and 8 <= found[1] <= 9, f"a look that hangs, and the one after it: {found}"
    browser.shows_not("Not connected")
    # Covered or not, the time left goes by until there is none.
    before = left()
    browser.forward(before - 119)
    assert left() == 119 and browser.run("return !!document.querySelector('.left .late')"), "under two minutes"
    browser.forward(200)
    assert left() == 0, "the time that is left after the deadline"
    browser.run("broken = null")
    browser.open(link("restaurant", "rest-without-orders"))
    browser.says("No order waits")
    looks = browser.looks()
    for seconds, more in ((9, 0), (1, 1), (9, 1), (1, 2)):
        browser.forward(seconds)
        assert browser.looks() == looks + more, f"{seconds} s later, while no order waits"
    browser.close()


@in_chromium_alone
def test_a_stale_page_never_looks_fresh(address):
    order = place("rest-stale")
    browser = BROWSER(address)
    browser.open(link("restaurant", "rest-stale"))
    browser.says("Margherita")
    browser.run("window.same = true")
    browser.cdp("Network.enable")
    browser.cdp("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=-1, uploadThroughput=-1)
    # Nothing is shown as answered that was not.
    accept(browser, order)
    browser.says("it is not known whether this arrived")
    browser.shows_not("being recorded")
    browser.says("Not connected since")
    covered = browser.run("const b = document.querySelector('[value=accept]').getBoundingClientRect();"
                          "return document.elementFromPoint(b.x + 5, b.y + 5).id")
    assert covered == "lost", covered
    assert browser.run("return document.activeElement.textContent") == "Try again"
    browser.run("document.querySelector('[value=accept]').focus()")
    assert not browser.run("return document.querySelector('main').contains(document.activeElement)"), "what is covered takes the focus"
    browser.shoot("web-not-connected")
    browser.is_for_everybody("no connection")
    browser.cdp("Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1, uploadThroughput=-1)
    browser.until(lambda: not browser.run("return !!document.getElementById('lost')"), "connection")
    assert browser.run("return window.same === true"), "the page was left"
    assert status(order) == "PLACED"
    browser.click(f"#o-{order} [value=accept]")
    until(lambda: status(order) == "ACCEPTED", "acceptance after the connection is back")
    place("rest-stale")
    # The tablet's clock says nothing: it is an hour wrong here.
    browser.before_each_page("const real = Date.now; Date.now = () => real() - 3600000;")
    browser.do("POST", "/refresh", {})
    left = browser.run("return document.querySelector('.left time').textContent")
    assert int(left.split(":")[0]) <= 10, left
    browser.close()


def test_a_scanner_that_submits_forms_blindly_decides_nothing(address):
    order = place("rest-scanner")
    browser = BROWSER(address)
    for kind, name in (("restaurant", "rest-scanner"), ("order", order), ("customer", order)):
        browser.open(link(kind, name))
        browser.says("Margherita")
        # Each form as it is, with each of its buttons, and then each form of the page that it leads to.
        pages = browser.do("POST", "/execute/async", {"args": [], "script": """
            const [done] = arguments;
            const submit = async (page, depth) => {
                const sent = [];
                for (const form of page.forms) for (const button of form.querySelectorAll("button:not([hidden])")) {
                    const body = new URLSearchParams(new FormData(form));
                    if (button.name) body.append(button.name, button.value);
                    const answer = await fetch(location.href, {method: "POST", body});
                    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
                    sent.push(answer.status, ...depth ? await submit(next, depth - 1) : []);
                }
                return sent;
            };
            submit(document, 1).then(done, (error) => done([String(error)]));"""})
        assert pages and set(pages) <= {200, 422}, f"{kind}: {pages}"
        assert kind != "customer" or 200 in pages, f"{kind} asks no second question: {pages}"
    # The first answer counts, so this one would not if a form had decided.
    ORDERS.answer(ORDERS.token({"restaurant_id": "rest-scanner", "order_id": order}), {"isAccepted": False, "reason": "By hand"})
    until(lambda: status(order) != "PLACED", "answer")
    assert ORDERS.item(order)["status_reason"]["S"] == "By hand", status(order)
    browser.close()


def test_hostile_text_is_text(address):
    restaurant = "rest-hostile"
    order = place(restaurant, note=EVIL + "\n" * 200, items=[{"name": EVIL, "quantity": 1, "unit_amount": 1}])
    declined = place(restaurant)
    ORDERS.answer(ORDERS.token({"restaurant_id": restaurant, "order_id": declined}), {"isAccepted": False, "reason": EVIL})
    until(lambda: status(declined) == "REJECTED", "rejection")
    browser = BROWSER(address, size=(320, 640))
    for kind, name in (("restaurant", restaurant), ("order", order), ("customer", order), ("customer", declined)):
        browser.open(link(kind, name))
        browser.says("onerror")
        assert browser.run("return document.title") != "hacked"
        assert browser.run("return document.images.length") == 0
        assert browser.cut_off() == [], f"{kind}: long words make the page wider than 320 px"
        away = browser.run("const b = document.querySelector('summary'); return b && b.getBoundingClientRect().top + scrollY")
        assert name == declined or away < 3 * 640, f"{kind}: a note pushes the buttons {away} px down"
    errors = browser.errors()
    assert errors == [], errors
    # And the policy is on: nothing inline runs.
    browser.run("const s = document.createElement('script'); s.textContent = 'window.inline = 1'; document.body.append(s)")
    assert browser.run("return window.inline") is None
    if BROWSER is not WebKit:
        assert "Content Security Policy" in browser.errors()[0]
    browser.close()


def test_without_javascript_all_can_be_done(address):
    order = place("rest-plain")
    browser = BROWSER(address, javascript=False)
    browser.open(link("restaurant", "rest-plain"))
    assert "min left" in browser.text() and "Look again" in browser.text(), browser.text()
    browser.click("select option:nth-child(3)")
    browser.click("[value=accept]")
    until(lambda: status(order) == "ACCEPTED", "acceptance")
    browser.close()
    order = place("rest-plain")
    browser = BROWSER(address, javascript=False)
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


def test_by_keyboard_at_320_px_and_in_dark_all_can_be_done(address):
    order = place("rest-keys")
    browser = BROWSER(address, dark=True, size=(320, 640))
    browser.open(link("restaurant", "rest-keys"))
    browser.says("Margherita")
    assert browser.cut_off() == [], "the page is wider than 320 px"
    assert browser.run("return matchMedia('(prefers-color-scheme: dark)').matches")
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


def test_an_order_is_answered_after_a_second_question_at_200_percent(address):
    order = place("rest-one")
    browser = BROWSER(address)
    browser.open(link("order", order))
    browser.says("Margherita")
    browser.shoot("web-order")
    browser.click("summary")
    browser.is_for_everybody("an order")
    browser.size(**ZOOMED)
    browser.click("select option:nth-child(3)")
    browser.click("[value=accept]")
    browser.says("Accept this order, ready in 15 minutes?")
    browser.is_for_everybody("the second question")
    # The question stays although the page looks again.
    seen = browser.looks()
    browser.forward(10)
    assert browser.looks() > seen, "the page does not look"
    browser.click("[name=sure]")
    browser.click("form button")
    browser.says("Accepted at")
    assert status(order) == "ACCEPTED"
    browser.is_for_everybody("an order that was answered")
    # What everybody sees whose link does not work, and a customer.
    good = link("customer", order)
    for page, target, says in (("a refused link", good + "x", "does not work"), ("a customer's order", good, "Accepted at"),
                               ("an order to come", link("customer", f"{order}-x"), "One moment")):
        browser.open(target)
        browser.says(says)
        browser.is_for_everybody(page)
    waiting = place("rest-one")
    browser.open(link("customer", waiting))
    browser.click("summary")
    browser.is_for_everybody("a customer's order that waits")
    browser.close()


def main():
    names = sys.argv[1:]
    failed = []
    tests = [name for name in globals() if name.startswith("test_")]
    if names == ["--list"]:
        print(*(name.removeprefix("test_") for name in tests), sep="\n")
        return 0
    left_out = not shutil.which(BROWSER.DRIVER[-1])
    if left_out:
        print(f"Left out: the pages in a real browser. There is no {BROWSER.DRIVER[-1]}.", file=sys.stderr)
    if left_out or names == ["--left-out"]:
        return "error: CI needs it" if left_out and os.environ.get("CI") else 0
    if not AXE.exists():
        raise StackError(f"There is no {AXE}: `make in-operation` installs it")

    def tried(name):
        begun = time.monotonic()
        try:
            # With a driver of its own, which takes the windows with it that a failed test leaves.
            with driver() as address:
                globals()[name](address)
            print(f"{name[5:].replace('_', ' ')}: {time.monotonic() - begun:.0f} s", flush=True)
        except Exception as error:
            failed.append(name)
            # The line of the test, but none where the driver did not even start.
            lines = [each.lineno for each in traceback.extract_tb(error.__traceback__) if each.name == name]
            print(f"FAILED {name[5:].replace('_', ' ')}: {f'line {lines[0]}: ' if lines else ''}{error!r}", flush=True)

    if names:
        tests = [name for name in tests if any(each in name for each in names)]
        assert tests, f"no test is named {' or '.join(names)}"
    if BROWSER is WebKit:
        tests = [name for name in tests if not hasattr(globals()[name], "in_chromium_alone")]
    # For much of their time they wait for the stack or for the browser: three at once.
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(tried, tests))
    return f"error: {len(failed)} failed" if failed else 0


if __name__ == "__main__":
    sys.exit(main())
