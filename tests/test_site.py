"""The site as a fork publishes it, with no file edited: built here from a clone, and looked at.

The outputs are the stored ones: what is executed, `make book` and the other tests look after.
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from html import unescape
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import pytest
from bs4 import BeautifulSoup
from conftest import needs_browser
from PIL import Image

ROOT = Path(__file__).parent.parent
REPOSITORY, URL = "https://github.com/reader/fork", "https://reader.github.io/fork/"
TOC = subprocess.check_output(["git", "show", "HEAD:_toc.yml"], cwd=ROOT, text=True)
PAGES = sorted(f"{name}.html" for name in re.findall(r"(?:root|file): (\S+)", TOC))
NOTEBOOKS = [page for page in PAGES if (ROOT / page).with_suffix(".ipynb").exists()]
CHAPTERS = [page for page in NOTEBOOKS if re.search(r"/\d\d_", page)]
# The theme's own, on every page of every book that uses it.
THEMES_OWN = {"label-content-name-mismatch", "region"}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not importlib.util.find_spec("jupyter_book") and not os.environ.get("CI"),
        reason="no Jupyter Book: pip install -r requirements.txt",
    ),
]


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a clone in which the book was built as the publishing workflow builds it."""
    clone = tmp_path_factory.mktemp("fork") / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT.as_uri(), clone], check=True)
    config = clone / "_config.yml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("execute_notebooks: force", 'execute_notebooks: "off"'))
    address = {"COURSE_REPOSITORY": REPOSITORY, "COURSE_URL": URL.rstrip("/")}
    done = subprocess.run(
        [Path(sys.executable).with_name("jupyter-book"), "build", ".", "-n", "-W", "--keep-going"],
        cwd=clone,
        env=os.environ | address,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return clone


@pytest.fixture(scope="module")
def site(fork: Path) -> Path:
    return fork / "_build" / "html"


@pytest.fixture(scope="module")
def commit(fork: Path) -> str:
    return subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=fork, text=True).strip()


def head(site: Path, page: str) -> dict[str, list[str]]:
    """Return what the head of a page says, by name."""
    text = (site / page).read_text(encoding="utf-8").split("</head>")[0]
    says: dict[str, list[str]] = {"title": re.findall(r"<title>(.*?)</title>", text)}
    for tag in re.findall(r"<(?:meta|link) [^>]+>", text):
        values = dict(re.findall(r'([\w:-]+)="([^"]*)"', tag))
        name = values.get("name") or values.get("property") or values.get("rel") or ""
        says.setdefault(name, []).append(unescape(values.get("content", values.get("href", ""))))
    return says


def setup_cell(notebook: Path) -> str:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return "".join(next(c for c in cells if "setup" in c["metadata"].get("tags", []))["source"])


def chinese(site: Path, page: str, links: str) -> list[bool]:
    """Tell of each page that these links of a page lead to whether it is a Chinese one."""
    soup = BeautifulSoup((site / page).read_text(encoding="utf-8"), "html.parser")
    targets = [urljoin(page, link["href"].split("#")[0]) for link in soup.select(links)]
    return [to.startswith("book/zh/") for to in targets if to.startswith("book/")]


@pytest.mark.parametrize("page", PAGES)
def test_the_links_below_a_page_stay_in_its_language(page: str, site: Path) -> None:
    found = chinese(site, page, ".prev-next-area a")
    assert found == ["/zh/" in page] * len(found)
    assert len(found) > 0


@pytest.mark.parametrize("page", PAGES)
def test_the_sidebar_begins_with_pages_of_its_language(page: str, site: Path) -> None:
    found = chinese(site, page, ".bd-links p.caption ~ ul a.reference")
    ours = len([name for name in PAGES if "/zh/" in name]) if "/zh/" in page else 0
    assert found == [True] * ours + [False] * (len(found) - ours)
    assert len(found) > 20


# What is published installs, and leads to, what it was published from.


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_colab_opens_the_published_notebook_of_the_fork(page: str, site: Path) -> None:
    text = (site / page).read_text(encoding="utf-8")
    opened = set(re.findall(r'https://colab[^"]+', text))
    notebook = page.replace(".html", ".ipynb")
    colab = "https://colab.research.google.com/github/reader/fork/blob"
    assert opened == {f"{colab}/published/{notebook}"}


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_a_published_notebook_installs_the_commit_of_its_page(
    page: str, site: Path, commit: str
) -> None:
    notebook = site / "_sources" / page.replace(".html", ".ipynb")
    installs = re.findall(r'"(git\+.+?)"', setup_cell(notebook))
    assert installs == [f"git+{REPOSITORY}@{commit}"]


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_a_published_notebook_leads_to_pages_of_the_site(page: str, site: Path) -> None:
    notebook = site / "_sources" / page.replace(".html", ".ipynb")
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    prose = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    links = [to.split("#")[0] for to in re.findall(r"\]\(([^)\s]+)\)", prose)]
    assert [to for to in links if not to.startswith("http")] == []
    own = [to.removeprefix(URL) for to in links if to.startswith(URL)]
    assert [to for to in own if not (site / to).exists()] == []


@pytest.mark.parametrize("page", CHAPTERS)
def test_code_on_a_page_leads_to_the_commit_that_it_is_from(
    page: str, site: Path, commit: str
) -> None:
    text = (site / page).read_text(encoding="utf-8")
    places = re.findall(r'href="(https://github\.com/[^"]+?)/cilkit/[^"]+#L', text)
    assert set(places) == {f"{REPOSITORY}/blob/{commit}"}


def test_the_published_branch_holds_the_notebooks_and_nothing_else(
    fork: Path, site: Path, commit: str, tmp_path: Path
) -> None:
    bare = tmp_path / "remote.git"
    subprocess.run(["git", "init", "--quiet", "--bare", bare], check=True)
    for _ in range(2):  # publishing once more changes nothing
        subprocess.run([sys.executable, "book/tools/publish.py", bare], cwd=fork, check=True)
    ask = partial(subprocess.check_output, cwd=bare, text=True)
    held = ask(["git", "ls-tree", "-r", "--name-only", "published"]).split()
    assert held == [page.replace(".html", ".ipynb") for page in NOTEBOOKS]
    assert ask(["git", "rev-list", "--count", "published"]).strip() == "1"
    shown = ask(["git", "show", f"published:{held[0]}"])
    assert shown == (site / "_sources" / held[0]).read_text(encoding="utf-8")
    assert ask(["git", "log", "-1", "--format=%s", "published"]).split()[3].strip(",") == commit


def test_notebooks_of_another_commit_are_not_published(fork: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", fork.as_uri(), clone], check=True)
    shutil.copytree(fork / "_build" / "html" / "_sources", clone / "_build" / "html" / "_sources")
    who = ["-c", "user.name=A", "-c", "user.email=a@b.c"]
    later = ["git", *who, "commit", "--quiet", "--allow-empty", "-m", "Later"]
    subprocess.run(later, cwd=clone, check=True)
    publish = [sys.executable, "book/tools/publish.py", "nowhere"]
    done = subprocess.run(publish, cwd=clone, capture_output=True, text=True)
    assert re.search(r"does not install commit \w+: build the book of this commit", done.stderr)


def address(**variables: str) -> Any:
    """Return what book/_ext/address.py finds out where these variables are set."""
    spec = importlib.util.spec_from_file_location("address", ROOT / "book/_ext/address.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["address"] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("COURSE_REPOSITORY", "COURSE_URL"):
            patch.delenv(name, raising=False)
        for name, value in variables.items():
            patch.setenv(name, value)
        return module.find_address()


def test_where_nothing_is_published_the_book_leads_to_the_project_that_pyproject_names() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = address()
    assert (found.repository, found.version, found.site) == (project["urls"]["Source"], "main", "")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("COURSE_REPOSITORY", "reader/fork"),
        ("COURSE_REPOSITORY", "https://github.com/reader"),
        ("COURSE_REPOSITORY", "https://github.com/reader/fork/tree/main"),
        ("COURSE_URL", "reader.github.io/fork"),
    ],
)
def test_an_address_that_is_none_is_refused_with_an_example(variable: str, value: str) -> None:
    from sphinx.errors import ConfigError

    with pytest.raises(ConfigError, match=rf"{variable} is '{value}'; it must be like https://"):
        address(**{variable: value})


# What a page says of itself where it is found or shared.


def test_every_page_has_a_title_and_a_description_of_its_own(site: Path) -> None:
    heads = [head(site, page) for page in PAGES]
    for name in ("title", "description"):
        assert [len(says[name]) for says in heads] == [1] * len(PAGES)
        assert len({says[name][0] for says in heads}) == len(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_a_description_is_whole_sentences_of_a_readable_length(page: str, site: Path) -> None:
    [text] = head(site, page)["description"]
    assert 15 <= len(text) <= 200
    assert text[-1] in ".?!:。？！"


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_its_own_address_and_no_other(page: str, site: Path) -> None:
    says = head(site, page)
    assert says["canonical"] == says["og:url"] == [URL + page]


@pytest.mark.parametrize("page", PAGES)
def test_a_shared_page_shows_its_title_its_description_and_a_picture(page: str, site: Path) -> None:
    says = head(site, page)
    assert says["title"][0].startswith(says["og:title"][0].replace("&", "&amp;"))
    assert says["og:description"] == says["description"]
    [picture] = says["og:image"]
    path = site / picture.removeprefix(URL)
    with Image.open(path) as image:
        assert [str(side) for side in image.size] == [
            *says["og:image:width"],
            *says["og:image:height"],
        ]
        assert image.size == (1200, 630)
    assert path.stat().st_size < 300_000
    assert says["twitter:card"] == ["summary_large_image"]


def test_chapters_have_pictures_that_can_be_told_apart(site: Path) -> None:
    pictures = [(site / "previews" / Path(page).with_suffix(".png").name) for page in CHAPTERS]
    english = {
        picture for page, picture in zip(CHAPTERS, pictures, strict=True) if "/zh/" not in page
    }
    assert len({picture.read_bytes() for picture in english}) == len(english) >= 9


def test_the_list_of_pages_holds_every_page_and_is_named_for_robots(site: Path) -> None:
    listed = re.findall(r"<loc>(.+?)</loc>", (site / "sitemap.xml").read_text(encoding="utf-8"))
    assert listed == [URL + page for page in PAGES]
    assert f"Sitemap: {URL}sitemap.xml" in (site / "robots.txt").read_text(encoding="utf-8")


def test_the_sites_own_address_leads_to_the_first_page_and_can_be_shared(site: Path) -> None:
    says = head(site, "index.html")
    assert says["canonical"] == says["og:url"] == [f"{URL}book/index.html"]
    assert says["description"] == head(site, "book/index.html")["description"]
    assert 'content="0; url=book/index.html"' in (site / "index.html").read_text(encoding="utf-8")


# In a browser, from a server that answers as GitHub Pages does.


class AsPages(SimpleHTTPRequestHandler):
    """A server of files that shows fork/404.html for what is not there."""

    def send_error(self, code: int, *_: Any, **__: Any) -> None:
        body = (Path(self.directory) / "fork" / "404.html").read_bytes()
        self.send_response(code)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def served(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of the fork's site on a server of this machine."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "fork").symlink_to(site)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(AsPages, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/fork/"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def lost(browser: Any, served: str, request: pytest.FixtureRequest) -> Any:
    """Open an address that is none; what goes wrong on the page is in `page.trouble`."""

    def open_page(path: str, **options: Any) -> Any:
        context = browser.new_context(**options)
        request.addfinalizer(context.close)
        page = context.new_page()
        page.trouble = []
        page.on("pageerror", lambda error: page.trouble.append(str(error)))
        page.on(
            "response",
            lambda got: (
                got.status >= 400 and got.url != served + path and page.trouble.append(got.url)
            ),
        )
        assert page.goto(served + path, wait_until="networkidle").status == 404
        return page

    return open_page


DEEP = ["nothing", "book/nothing.html", "book/zh/deep/down/nothing.html"]


@needs_browser
@pytest.mark.parametrize("path", DEEP)
def test_an_address_that_is_none_shows_the_way_back_at_any_depth(
    path: str, lost: Any, served: str, site: Path
) -> None:
    page = lost(path)
    assert page.locator("article h1").text_content() == "There is no such page"
    assert page.trouble == []
    links = page.evaluate("[...document.querySelectorAll('a[href]')].map(a => a.href)")
    inside = [
        urlsplit(link).path.removeprefix("/fork/") for link in links if link.startswith(served)
    ]
    away = [to for to in inside if to != path and not (site / to).is_file()]
    assert away == []
    assert "book/glossary.html" in inside


@needs_browser
def test_the_way_back_is_a_search_too(lost: Any) -> None:
    page = lost("book/nothing.html")
    page.keyboard.press("Control+k")
    page.locator("#pst-search-dialog input").fill("herding")
    page.keyboard.press("Enter")
    page.locator("ul.search li").first.wait_for()
    assert "Exemplars and herding" in page.locator("ul.search").text_content()


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_for_no_page_is_open_to_everyone_on_a_phone_too(scheme: str, lost: Any) -> None:
    import axe_playwright_python

    size = {"width": 360, "height": 800}
    page = lost("book/nothing.html", color_scheme=scheme, viewport=size)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.evaluate((Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text())
    found = {
        rule["id"] for rule in page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    }
    assert found - THEMES_OWN == set()


def glossary_terms(folder: str = "book") -> list[str]:
    """Return all names of every entry of the glossary."""
    text = (ROOT / folder / "glossary.md").read_text(encoding="utf-8")
    entries = re.findall(r"^:::\{glossary\}\n(.*?)^:::", text, re.MULTILINE | re.DOTALL)
    return [line for entry in entries for line in entry.splitlines() if re.match(r"[^\s:]", line)]


@needs_browser
def test_the_search_finds_every_term_of_the_glossary_in_the_glossary(
    browser: Any, site: Path
) -> None:
    terms = glossary_terms()
    assert len(terms) > 50
    context = browser.new_context(offline=True)  # from the disk, as every reader may have it
    page, missed = context.new_page(), []
    for term in terms:
        if "book/glossary.html" not in pages_found(page, site, term):
            missed.append(term)
    context.close()
    assert missed == []


SEARCH_AGAIN = """words => {
    document.getElementById("search-results").replaceChildren();
    Search.performSearch(words);
}"""


def pages_found(page: Any, site: Path, words: str) -> set[str]:
    """Return the pages that the search finds; a reader's first words come by the address."""
    search = (site / "search.html").as_uri()
    if page.url.startswith(search):
        page.evaluate(SEARCH_AGAIN, words)
    else:
        page.goto(f"{search}?q={quote(words)}")
    page.locator(".search-summary:not(:empty)").wait_for()
    page.wait_for_function(
        """["found", "did not match"].some(
            end => document.querySelector(".search-summary").textContent.includes(end))"""
    )
    links = page.evaluate("[...document.querySelectorAll('ul.search a')].map(a => a.href)")
    start = f"{site.as_uri()}/"
    return {urljoin(page.url, link).removeprefix(start).partition("#")[0] for link in links}


def text_of(page: Path) -> str:
    """Return what a page says itself, without its scripts and its way to other pages."""
    from bs4 import BeautifulSoup

    article = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").article
    for silent in article.select("script, style, .languages"):
        silent.decompose()
    return str(article.get_text())


def splitter() -> Any:
    """Return what book/_ext/searching.py splits the pages' texts with."""
    spec = importlib.util.spec_from_file_location("searching", ROOT / "book/_ext/searching.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.BothLanguages({})


def test_english_is_split_as_sphinx_splits_it() -> None:
    from sphinx.search.en import SearchEnglish

    text = (ROOT / "book" / "glossary.md").read_text(encoding="utf-8")
    assert splitter().split(text) == SearchEnglish({}).split(text)


def test_chinese_is_split_into_characters_and_pairs_and_leaves_english_words_whole() -> None:
    found = splitter().split("\u4e00\u4e2aMLP\u6a21\u578b\u3002")
    assert found == [*"\u4e00\u4e2a", "\u4e00\u4e2a", "MLP", *"\u6a21\u578b", "\u6a21\u578b"]


def test_a_chinese_word_that_markup_cuts_in_two_is_found_as_a_whole() -> None:
    both = splitter()
    assert "\u8bad\u7ec3" in [*both.split("\u8bad"), *both.split("\u7ec3")]


@needs_browser
def test_the_search_finds_every_page_that_holds_a_term_of_the_chinese_glossary(
    browser: Any, site: Path
) -> None:
    terms = [term.split(" (")[0] for term in glossary_terms("book/zh")]
    assert len(terms) > 50
    texts = {name: text_of(site / name) for name in PAGES if name.startswith("book/zh/")}
    context = browser.new_context(offline=True)
    page, missed = context.new_page(), {}
    for term in terms:
        holding = {name for name, text in texts.items() if term in text}
        missed[term] = holding - pages_found(page, site, term)
    context.close()
    assert {term: pages for term, pages in missed.items() if pages} == {}


@needs_browser
@pytest.mark.parametrize("words", ["\u9f98\u9f98", "\u7a0b\u8b58\u5ee3"])
def test_the_search_finds_no_page_of_chinese_that_stands_nowhere(
    words: str, browser: Any, site: Path
) -> None:
    context = browser.new_context(offline=True)
    found = pages_found(context.new_page(), site, words)
    context.close()
    assert found == set()
