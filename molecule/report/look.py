#!/usr/bin/python3
"""Opens pages in Chromium and prints what is there: look.py FILE…

For each file a JSON object: by width in pixels (light), and "dark" and "print", what a person sees.
"""

import json
import sys
import tempfile
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

WIDTHS = (500, 1000, 1600)
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip
LOOK = Path(__file__).with_name("look.js").read_text(encoding="utf-8")
FOLLOW = r"""
const link = document.querySelector('.services tbody tr:last-child a');
location.hash = link.getAttribute('href');
return [link.textContent, link.getAttribute('href').slice(1)];
"""


def main():
    with tempfile.TemporaryDirectory() as profile:
        options = webdriver.ChromeOptions()
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        with webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver")) as browser:
            json.dump({path: look(browser, path) for path in sys.argv[1:]}, sys.stdout)


def look(browser, path):
    browser.get("about:blank")
    requests(browser)  # Chromium's own, as it starts
    found = {}
    for width in WIDTHS:
        media(browser, width, "light", "screen")
        browser.get(Path(path).resolve().as_uri())
        found[str(width)] = browser.execute_script(LOOK)
    media(browser, 1000, "dark", "screen")
    found["dark"] = browser.execute_script(LOOK)
    media(browser, 800, "light", "print")
    found["print"] = browser.execute_script(LOOK)
    media(browser, 1000, "light", "screen")
    found["followed"] = followed(browser)
    found["console"] = [entry["message"] for entry in browser.get_log("browser")]
    found["requests"] = requests(browser)
    return found


def media(browser, width, scheme, kind):
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": kind, "features": features})


def followed(browser):
    """The last service of the overview: whether its link leads to a card that is unfolded."""
    if not browser.execute_script("return !!document.querySelector('.services')"):
        return None
    name, target = browser.execute_script(FOLLOW)
    shown = browser.execute_script("return document.getElementById(arguments[0]).checkVisibility()", target)
    return {"name": name, "target": target, "shown": shown}


def requests(browser):
    """The addresses that the browser has asked for."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return sorted(set(sent) - {"about:blank"})


if __name__ == "__main__":
    main()
