"""A method flat: one class in one file, as one would write it by hand. `cilkit show`.

`chain` joins classes, `moving` puts code in the place of a call, `tidying` and `folding` make it
read well, `origins` finds the imports, and `syntax` is what all of them know of Python's source.
"""

import ast
import sys

from cilkit.config import Config
from cilkit.learner import Learner
from cilkit.show.flat.chain import Chain, source
from cilkit.show.flat.folding import fitted
from cilkit.show.flat.origins import Origins
from cilkit.show.flat.syntax import extent


def flat(method: type[Learner]) -> str:
    """Return a file that holds a method as one class, with all that it inherits written out.

    Each `super()` gives way to the code that it leads to, or to a function of that code. Raises
    `InputError` where the source cannot be read, or cannot be written out.
    """
    origins = Origins()
    learner, settings = Chain(method, Learner, origins), Chain(method.Settings, Config, origins)
    own = method is Learner or method.Settings is not Learner.Settings
    says = f"The settings of {method.__name__}, beside those that all methods have."
    text = learner.text(inner=settings.text(says=says) if own else "")
    file = source(sys.modules[method.__module__])
    tree = ast.parse(file)
    title = file[extent(file, tree.body[0])] if ast.get_docstring(tree) else ""
    above = "\n\n".join(filter(None, [title, origins.imports(text)]))
    return fitted(f"{above}\n\n\n{text}\n")
