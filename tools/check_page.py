#!/usr/bin/env python3
"""Use the page of a running server in a real browser, as people do.

    python tools/check_page.py URL [--screenshots DIR]

The server must serve two models. With the keyboard: fill in the example, ask, read the answer,
choose another candidate; then load a file; compare two models; provoke an error; look at it at
the width of a phone. Every step must leave what it should, the marked text must be the
answer, nothing may be fetched from elsewhere and nothing may be wrong in the browser's log. Then the
same behind a proxy that shows the server under a path and has nothing else.
Needs `pip install playwright` and Chromium (in $CHROMIUM or on the path).
"""

import argparse
import contextlib
import http.server
import os
import shutil
import tempfile
import threading
import urllib.error
import urllib.request
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium():
    names = [os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"]
    found = next((path for path in map(shutil.which, filter(None, names)) if path), None)
    if found is None:
        raise SystemExit("Chromium is not installed")
    return found


def marked(result):
    """The marked text must be the answer that is shown above it."""
    answer = result.locator(".answer")
    expect(result.locator("mark")).to_have_text(answer.inner_text())
    return answer.inner_text()


def ask_by_keyboard(page):
    page.keyboard.press("Tab")  # the link to the API
    for _ in range(20):
        if page.evaluate("document.activeElement.id") == "example":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "question", "the question has no focus"
    # A model may know how to say "no answer"; here something has to be marked.
    page.uncheck("#no-answer")
    page.focus("#question")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_contain_text("Answer")
    result = page.locator(".result")
    expect(result).to_have_count(1)
    first = marked(result)
    assert first in page.locator("#context").input_value()
    candidates = result.locator(".candidates button")
    expect(candidates.first).to_have_attribute("aria-pressed", "true")
    for _ in range(20):
        page.keyboard.press("Tab")
        if candidates.nth(1).evaluate("button => button === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(candidates.nth(1)).to_have_attribute("aria-pressed", "true")
    assert marked(result) != first, "the other candidate is not marked"
    expect(result.locator(".cost")).to_contain_text("tokens")


def load_a_file(page):
    text = "🦀 Ada keeps a crab. " * 200 + "Ben keeps a goat in Oslo. " + "日本 " * 50
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        page.set_input_files("#file", file.name)
        # Before the file is gone.
        expect(page.locator("#status")).to_contain_text("is loaded")
    assert page.locator("#context").input_value() == text
    page.fill("#question", "Who keeps a goat?")
    page.click("#ask")
    expect(page.locator("#status")).to_contain_text("Answer")
    answer = marked(page.locator(".result"))
    assert answer in text, answer
    expect(page.locator(".cost")).to_contain_text("windows")


def compare(page):
    page.select_option("#compare", index=2)
    page.click("#ask")
    expect(page.locator("#status")).to_contain_text("Answers")
    results = page.locator(".result")
    expect(results).to_have_count(2)
    boxes = [results.nth(i).bounding_box() for i in range(2)]
    assert boxes[0]["y"] == boxes[1]["y"], "the results are not side by side"
    names = [results.nth(i).locator("h2").inner_text() for i in range(2)]
    assert names[0] != names[1], names


def see_an_error(page):
    page.fill("#question", " ")
    page.click("#ask")
    expect(page.locator("#status.error")).to_contain_text("empty")
    expect(page.locator("#ask")).to_have_attribute("aria-disabled", "false")


def on_a_phone(page):
    page.set_viewport_size({"width": 360, "height": 740})
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 360, f"the page is {width} pixels wide"


@contextlib.contextmanager
def behind_a_path(url, prefix="/qa"):
    """The address of a proxy that takes the prefix away and passes the rest on."""

    class Proxy(http.server.BaseHTTPRequestHandler):
        def pass_on(self):
            if self.path != prefix and not self.path.startswith(f"{prefix}/"):
                self.send_error(404)
                return
            length = int(self.headers.get("Content-Length", 0))
            kept = {name: self.headers[name] for name in ["Content-Type"] if name in self.headers}
            request = urllib.request.Request(
                url + (self.path[len(prefix) :] or "/"),
                self.rfile.read(length) if length else None,
                kept,
                method=self.command,
            )
            try:
                answer = urllib.request.urlopen(request)
            except urllib.error.HTTPError as error:
                answer = error
            body = answer.read()
            self.send_response(answer.status)
            for name in ["Content-Type", "Content-Security-Policy", "Retry-After"]:
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = pass_on

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{proxy.server_port}{prefix}"
        proxy.shutdown()


def without_its_last_slash(browser, url):
    """The page goes to the address with the slash, under which its parts are found."""
    page = browser.new_page()
    page.goto(url)
    page.wait_for_url(f"{url}/")
    page.click("#example")
    page.click("#ask")
    expect(page.locator("#status")).to_contain_text("Answer")
    page.close()


def use(browser, url, screenshots, name=""):
    wrong = []
    page = browser.new_page(viewport={"width": 1100, "height": 900})
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
    page.on(
        "request",
        lambda request: wrong.append(f"asked elsewhere: {request.url}")
        if not request.url.startswith((f"{url}/", "data:"))
        else None,
    )
    page.goto(f"{url}/")
    for step in [ask_by_keyboard, load_a_file, compare, on_a_phone]:
        step(page)
        if screenshots:
            page.screenshot(path=screenshots / f"{name}{step.__name__}.png", full_page=True)
    assert not wrong, wrong
    see_an_error(page)  # the browser logs the status, which is as it should be
    page.click("nav a")
    expect(page.locator("h1")).to_have_text("The API")
    page.click("text=the page")
    page.wait_for_url(f"{url}/")
    page.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--screenshots", type=Path)
    arguments = parser.parse_args()
    url = arguments.url.rstrip("/")
    expect.set_options(timeout=60_000)  # a busy machine answers late
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        use(browser, url, arguments.screenshots)
        with behind_a_path(url) as proxied:
            use(browser, proxied, arguments.screenshots, "behind_a_path_")
            without_its_last_slash(browser, proxied)
        browser.close()
    print(f"{url}: the page works in Chromium, behind a proxy too")


if __name__ == "__main__":
    main()
