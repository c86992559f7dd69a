"""What a class says of its attributes, in the text below each.

Read from the source when asked for: pydantic's own reading, at import, was a third of a command's start.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise


@cache
def attribute_docs(shape: type) -> Mapping[str, str]:
    """By the name of the attribute; what a base says holds unless the class says otherwise."""
    found: dict[str, str] = {}
    for base in reversed(shape.__mro__):
        if inspect.get_annotations(base):
            found.update(_own(base))
    return found


def _own(shape: type) -> Iterator[tuple[str, str]]:
    try:
        source = inspect.getsource(shape)
    except (OSError, TypeError):  # made at run time, or a part of Python
        return
    (declared,) = ast.parse(textwrap.dedent(source)).body
    for attribute, below in pairwise(getattr(declared, "body", ())):
        match attribute, below:
            case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(text))):
                yield name, inspect.cleandoc(text)
