"""A function's code in the place of a call by `super()`, where one would write it by hand, too."""

import ast
import textwrap

from cilkit.show.flat.folding import WIDTH
from cilkit.show.flat.syntax import (
    FIXED,
    OFTEN,
    OWN,
    PERHAPS,
    begins,
    body,
    bound,
    ends,
    extent,
    function,
    names,
    parts,
    put,
    read,
    still,
    words,
)
from cilkit.show.flat.tidying import tidied


class Site:
    """A place in a function that says `super().name`, or calls it."""

    def __init__(self, text: str, use: ast.Attribute, tree: ast.FunctionDef) -> None:
        """Look at what is around it."""
        self.text, self.use, self.function = text, use, tree
        self.itself = [*tree.args.posonlyargs, *tree.args.args][0].arg
        self.around = [part for part in ast.walk(tree) if use in ast.walk(part)][:-1]
        calls = [part for part in self.around if isinstance(part, ast.Call) and part.func is use]
        self.call = calls[0] if calls else None
        self.node: ast.expr = self.call or use
        self.statement = [part for part in self.around if isinstance(part, ast.stmt)][-1]
        self.value = getattr(self.statement, "value", None)
        self.often = any(isinstance(part, OFTEN) for part in self.around)
        self.once = ast.unparse(tree).count(f"super().{use.attr}") == 1

    def explicit(self, name: str) -> str:
        """Return the function with a call of this name instead, which is given the object, too."""
        given = self.text[extent(self.text, self.use).stop : extent(self.text, self.node).stop]
        said = filter(None, [self.itself, given.strip()[1:-1].strip()])
        return put(self.text, self.node, f"{name}({', '.join(said)})")

    def replaced(self, code: list[str], value: str) -> str:
        """Return the function with code above the statement, and a value in the call's place."""
        first, last = self.statement.lineno - 1, self.statement.end_lineno
        indent = " " * self.statement.col_offset
        code = [indent + line if line else "" for line in code]
        idle = isinstance(self.statement, ast.Expr) and self.value is self.node and "(" not in value
        if value and not idle:
            lines = put(self.text, self.node, value).split("\n")
            return "\n".join([*lines[:first], *code, *lines[first:]])
        lines = self.text.split("\n")
        blocks = [block for part in self.around for block in vars(part).values()]
        code = [indent + "pass"] if not code and [self.statement] in blocks else code
        return "\n".join([*lines[:first], *code, *lines[last:]])


class Move:
    """A function's code on its way to the place of a call."""

    def __init__(self, site: Site, text: str) -> None:
        """Find what the function's parameters stand for there."""
        self.site, self.text, self.function = site, text, function(text)
        self.code, self.last = body(self.function), self.function.body[-1]
        self.values = self.arguments()
        self.calm = all(still(self.parsed(name)) for name in self.values)
        self.kept = [name for name in self.values if not self.direct(name)]
        # The function at the place goes on with all of this one, its returns too.
        over = isinstance(self.last, ast.Return) or site.statement is site.function.body[-1]
        self.whole = isinstance(site.statement, ast.Return) and site.value is site.node and over

    def arguments(self) -> dict[str, str]:
        """Return the text that each parameter stands for."""
        text, call = self.site.text, self.site.call or ast.Call(self.site.use, [], [])
        values = [self.site.itself, *(words(text, one) for one in call.args)]
        found = dict(zip((one.arg for one in self.function.args.args), values, strict=False))
        return found | {str(one.arg): words(text, one.value) for one in call.keywords}

    def parsed(self, name: str) -> list[ast.AST]:
        """Return the nodes of an argument, but for calls that give a named tuple another part."""
        found = ast.walk(ast.parse(self.values[name].lstrip("*")))
        return [one for one in found if getattr(getattr(one, "func", 0), "attr", 0) != "_replace"]

    def direct(self, name: str) -> bool:
        """Tell whether an argument can stand where its parameter is, and mean the same there."""
        code, uses = parts(self.code), [one for one in names(self.code) if one.id == name]
        if any(not isinstance(one.ctx, ast.Load) for one in uses):
            return False
        given = ast.parse(self.values[name].lstrip("*"), mode="eval").body
        if isinstance(given, ast.Name | ast.Constant) or (self.calm and not uses):
            return True
        often = [one for one in code if isinstance(one, OFTEN) and {*uses} & {*ast.walk(one)}]
        placed = [one for one in code if isinstance(one, ast.expr | ast.stmt)]
        before = [one for one in placed if ends(one) <= begins(uses[0])]
        return self.calm and len(uses) == 1 and not often and still(before)

    def fits(self) -> bool:
        """Tell whether the code means the same at the place of the call."""
        site, code = self.site, parts(self.code)
        hidden = (read(self.code) - bound(self.function)) & bound(site.function)
        misread = [one for one in names(self.code) if self.text[extent(self.text, one)] != one.id]
        own = [one for one in [*code, *site.around[1:]] if isinstance(one, OWN)]
        if hidden or misread or own or not self.plain():
            return False
        returns = [one for one in code if isinstance(one, ast.Return)]
        above = self.code[:-1] if self.last in returns else self.code
        if self.whole:
            return site.once or not above
        early = any(one is not self.last for one in returns)
        return not early and (not (above or self.kept) or (site.once and self.has_room(above)))

    def plain(self) -> bool:
        """Tell whether the function is of the kind that the place asks for, and so is the call."""
        takes, call = self.function.args, self.site.call
        special = bool(takes.posonlyargs or takes.kwonlyargs or takes.defaults)
        special |= bool(takes.vararg or takes.kwarg)
        special |= any(value.startswith("*") for value in self.values.values())
        both = (self.function, self.site.function)
        marks, others = ({*map(ast.unparse, one.decorator_list)} for one in both)
        alike = ("classmethod" in marks) == ("classmethod" in others)
        alike &= marks <= {"property", "classmethod"} and (call is None) == ("property" in marks)
        return alike and not special and {*self.values} == {one.arg for one in takes.args}

    def has_room(self, above: list[ast.stmt]) -> bool:
        """Tell whether code can run before the statement as well as in the middle of it."""
        site = self.site
        if not isinstance(site.statement, ast.Return | ast.Assign | ast.AnnAssign | ast.Expr):
            return False
        found = parts([site.value] if site.value else [])
        before = [
            one for one in found if isinstance(one, ast.expr) and ends(one) <= begins(site.node)
        ]
        perhaps = any(isinstance(one, PERHAPS) for one in site.around if one in found)
        calm = self.calm and still([*parts(above), *before])
        return not perhaps and (calm or all(isinstance(one, FIXED) for one in before))

    def clashes(self, owner: str) -> dict[str, str]:
        """Return other names for what the code gives values to though the place needs them."""
        site, outer = self.site, self.site.function
        start = (0, 0) if site.often else begins(site.statement)
        end = ends(site.statement if isinstance(site.statement, ast.Return) else outer)
        found, inside = names([outer]), {*ast.walk(site.node)}
        later = [one for one in found if start <= begins(one) < end and one not in inside]
        added = [one for one in ast.walk(outer) if isinstance(one, ast.AugAssign)]
        before = {one.id for one in found if site.often or begins(one) < start}
        before = bound(outer) & (before | {one.arg for one in outer.args.args})
        new = {}
        for name in bound(self.function) - (self.values.keys() - {*self.kept}):
            others = [ast.parse(value) for key, value in self.values.items() if key != name]
            needed = before & read([*later, *added, *others]) | (read([outer]) - bound(outer))
            if name in needed:
                new[name] = f"{name}_of_{owner}"
        return new

    def halves(self, owner: str, comment: list[str]) -> tuple[list[str], str]:
        """Return the code in the place's words, and the value it ends with; "" if that is in it."""
        apart = self.clashes(owner)
        new = self.values | {name: name for name in self.kept} | apart
        text = self.text
        for name in names(self.code):
            text = put(text, name, new.get(name.id, name.id))
        moving = [name for name in self.kept if new[name] != self.values[name]]
        kept = [f"{new[name]} = {self.values[name]}" for name in moving]
        value = "" if self.whole else "None"
        if not self.code:
            return kept, value
        code, lines = body(function(text)), text.split("\n")
        first, last, stop = code[0].lineno - 1, code[-1], len(lines)
        while lines[first - 1].strip().startswith("#"):
            first -= 1
        if isinstance(last, ast.Return) and not self.whole:
            value, stop = words(text, last.value) if last.value else "None", last.lineno - 1
        block = textwrap.dedent("\n".join(lines[first:stop])).rstrip()
        return [*kept, *comment, *block.split("\n")] if block else kept, value


def moved(site: Site, below: str, owner: str, says: str = "") -> str | None:
    """Return the function of `site` with the code of `below` there; None where that cannot be.

    `owner` tells names apart that both have; `says` becomes a comment above the code.
    """
    move = Move(site, below)
    if not move.fits():
        return None
    width = WIDTH - 8 - site.statement.col_offset
    comment = textwrap.wrap(says, width, initial_indent="# ", subsequent_indent="# ")
    try:
        return tidied(site.replaced(*move.halves(owner, comment)))
    except SyntaxError:  # such as quotes within the quotes of an f-string
        return None
