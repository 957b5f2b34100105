"""What a search engine, and a chat in which a page is shared, show of it.

Every page has a description. Where the book is published (COURSE_URL), a page has a picture too,
and the site a list of its pages.
"""

import re
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from preview import SIZE, draw_preview

LONGEST = 160  # letters of a description: more is cut off where it is shown
SENTENCE = re.compile(r".+?(?:[.!?:](?=\s)|[。！？]|$)\s*")


def setup(app: Any) -> dict[str, bool]:
    """Connect what follows to Sphinx."""
    app.connect("html-page-context", describe)
    app.connect("build-finished", list_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def describe(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Put into the head of a page what is shown where the page is shared."""
    if doctree is None:  # the search and the indices
        return
    written = [m["content"] for m in doctree.findall(nodes.meta) if m.get("name") == "description"]
    text = written[0] if written else first_sentences(doctree)
    title = nodes.Element.astext(next(doctree.findall(nodes.title)))
    facts = {
        "og:type": "article",
        "og:site_name": app.config.html_title,
        "og:title": title,
        "og:description": text,
    }
    if app.course.site:
        facts |= {"og:url": context["pageurl"]} | preview(app, page, title, text, doctree)
    tags = [] if written else [f'<meta name="description" content="{escape(text)}" />']
    tags += [f'<meta property="{k}" content="{escape(v)}" />' for k, v in facts.items()]
    tags += ['<meta name="twitter:card" content="summary_large_image" />']
    context["metatags"] = "\n".join([context.get("metatags", ""), *tags, ""])
    if page == app.config.master_doc:
        write_front_door(app, title, context["metatags"])


def first_sentences(doctree: nodes.document) -> str:
    """Return as many sentences from the start of a page as a description holds."""
    paragraphs = [p for p in doctree.findall(nodes.paragraph) if p.parent.tagname == "section"]
    text = ""
    for sentence in SENTENCE.findall(paragraphs[0].astext().replace("\n", " ")):
        if text and len(text + sentence.strip()) > LONGEST:
            break
        text += sentence
    return text.strip()


def preview(app: Any, page: str, title: str, text: str, doctree: Any) -> dict[str, str]:
    """Draw the picture of a page, with its first plot; return what the head says of it.

    The Chinese pages, for whose letters there is no font here, have the picture of their twins.
    """
    name = page.rpartition("/")[2] + ".png"
    if "/zh/" not in page:
        files = {target: source for source, target in app.builder.images.items()}
        plots = [Path(image["uri"]).name for image in doctree.findall(nodes.image)]
        found = [Path(app.srcdir) / files[plot] for plot in plots if plot in files]
        shows = found[0] if found else text
        draw_preview(app.config.html_title, title, shows, Path(app.outdir) / "previews" / name)
    return {
        "og:image": f"{app.course.site}previews/{name}",
        "og:image:width": str(SIZE[0]),
        "og:image:height": str(SIZE[1]),
        "og:image:alt": title,
    }


def list_pages(app: Any, exception: Exception | None) -> None:
    """Write the list of all pages, and where it is, for search engines."""
    if exception is None and app.course.site and app.builder.format == "html":
        pages = [app.builder.get_target_uri(name) for name in sorted(app.env.found_docs)]
        lines = [
            '<?xml version="1.0" encoding="UTF-8"?>',
            '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">',
            *(f"<url><loc>{escape(app.course.site + page)}</loc></url>" for page in pages),
            "</urlset>",
        ]
        Path(app.outdir, "sitemap.xml").write_text("\n".join(lines), "utf-8")
        robots = f"User-agent: *\nAllow: /\nSitemap: {app.course.site}sitemap.xml\n"
        Path(app.outdir, "robots.txt").write_text(robots, "utf-8")


def write_front_door(app: Any, title: str, tags: str) -> None:
    """Let the site's own address lead to the first page, and say as much when it is shared."""
    first = app.builder.get_target_uri(app.config.master_doc)
    canonical = (
        f'<link rel="canonical" href="{app.course.site}{first}" />' if app.course.site else ""
    )
    Path(app.outdir, "index.html").write_text(
        f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8" />{tags}{canonical}
<title>{escape(app.config.html_title)}</title>
<meta http-equiv="refresh" content="0; url={first}" /></head>
<body><a href="{first}">{escape(title)}</a></body></html>
""",
        "utf-8",
    )
