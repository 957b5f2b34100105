"""Take the README's pictures of the built pages: `make book` comes first."""

import shutil
from io import BytesIO
from pathlib import Path
from typing import Any

from pdf import BROWSERS
from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[2]
SITE = ROOT / "_build" / "html" / "book"
TARGET = ROOT / ".github" / "screenshots"
# name: page, what to scroll to, width, height, colours
TO_THE_END = """films => films.forEach(film => {
    film.closest("figure").querySelector("[value=skip]")?.click();
    document.activeElement.blur();
    film.value = film.max; film.dispatchEvent(new Event("input", {bubbles: true})); })"""
VIEWS: dict[str, tuple[str, str, int, int, Any]] = {
    "welcome": ("index.html", "h1", 1200, 760, "light"),
    "phone": ("03_exemplars.html", "figure[data-script=playground]", 360, 760, "light"),
}


def take(browser: Any, page: str, focus: str, width: int, height: int, scheme: Any) -> Image.Image:
    """Return a picture of a page with `focus` near the top of the window, films at their end."""
    size = {"width": width, "height": height}
    context = browser.new_context(viewport=size, color_scheme=scheme, offline=True)
    tab = context.new_page()
    tab.goto((SITE / page).as_uri())
    tab.locator("figure.cil-moving .cil-controls input").evaluate_all(TO_THE_END)
    top = "e => window.scrollTo(0, e.getBoundingClientRect().top + window.scrollY - 130)"
    tab.locator(focus).first.evaluate(top)
    tab.wait_for_timeout(800)  # formulas are set, and the bar on top has faded in
    return Image.open(BytesIO(tab.screenshot()))


def main() -> None:
    """Write all pictures, each with 256 colours: plots and letters need no more."""
    TARGET.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        found = next(filter(None, map(shutil.which, BROWSERS)))
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        for name, view in VIEWS.items():
            picture = take(browser, *view).convert("RGB").quantize(256, dither=Image.Dither.NONE)
            picture.save(TARGET / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
