"""The search finds Chinese words, too: without a network, and with no list of words.

Chinese has no spaces, and Sphinx's own splitter would need one more package, and another language
than English for the whole book.
"""

import re
from itertools import pairwise
from typing import Any

from sphinx.search.en import SearchEnglish

HAN = r"[\u3400-\u9fff\uf900-\ufaff]"  # written as Python and JavaScript both read it
RUN = re.compile(f"{HAN}+")
# A query's words, as Sphinx finds them; of Chinese the pairs, or a character that is alone.
SPLIT_QUERY = rf"""
var splitQuery = (query) => query
  .replace(/{HAN}+/g, " $& ")
  .split(/[^\p{{Letter}}\p{{Number}}_\p{{Emoji_Presentation}}]+/u)
  .filter((term) => term)
  .flatMap((term) => /{HAN}{{2}}/.test(term)
    ? [...term].slice(1).map((next, place) => term[place] + next) : [term]);
"""


def setup(app: Any) -> dict[str, bool]:
    """Connect what follows to Sphinx."""
    app.add_search_language(BothLanguages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class BothLanguages(SearchEnglish):
    """English words as ever; of Chinese, every character and every pair of neighbours."""

    js_splitter_code = SPLIT_QUERY

    def init(self, options: dict[str, str]) -> None:
        """Begin with no text."""
        super().init(options)
        self.last = ""

    def split(self, input: str) -> list[str]:
        """Return what a text is found by.

        Markup cuts a word in two texts, so the end of one is a neighbour of the next one's begin.
        """
        text, self.last = self.last + input, "".join(RUN.findall(input[-1:]))
        found = []
        for word in super().split(RUN.sub(r" \g<0> ", text)):
            found += [*word, *map("".join, pairwise(word))] if RUN.match(word) else [word]
        return found
