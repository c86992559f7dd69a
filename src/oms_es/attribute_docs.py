"""Descriptions of a class's attributes: the string below each attribute.

They are read from the source when asked for, because pydantic's own reading at import took a third of a command's
start.
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
    """Return the descriptions by attribute; a class's own description replaces that of its base."""
    found: dict[str, str] = {}
    for base in reversed(shape.__mro__):
        if inspect.get_annotations(base):
            found.update(_own(base))
    return found


def _own(shape: type) -> Iterator[tuple[str, str]]:
    try:
        source = inspect.getsource(shape)
    except (OSError, TypeError):  # the class was made at run time, or belongs to Python
        return
    (declared,) = ast.parse(textwrap.dedent(source)).body
    for attribute, below in pairwise(getattr(declared, "body", ())):
        match attribute, below:
            case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(text))):
                yield name, inspect.cleandoc(text)
