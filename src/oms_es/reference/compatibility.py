"""Comparison of JSON Schemas: whether everything that one allows is allowed by another, which makes a change safe.

Invariant: no problem is reported only if every instance of `narrow` is an instance of `wide`. The proof is by
structure; an unknown keyword is reported as a problem.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

from oms_es.schemas.values.personal import KEYWORD

Schema = Any
"""A JSON Schema: an object, True for anything, or False for nothing."""

TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")
ANNOTATIONS = frozenset(
    {"$schema", "$defs", "title", "description", "default", "examples", "deprecated", "$comment", KEYWORD}
)
"""Keywords that neither allow nor refuse anything."""
ALTERNATIVES = ("anyOf", "oneOf")
KEYWORDS: Mapping[str, frozenset[str]] = {
    "any": frozenset({"type", "enum", "const", "$ref", "discriminator", *ALTERNATIVES}),
    "string": frozenset({"minLength", "maxLength", "pattern", "format"}),
    "number": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}),
    "array": frozenset({"items", "prefixItems", "minItems", "maxItems", "uniqueItems"}),
    "object": frozenset(
        {"properties", "required", "additionalProperties", "propertyNames", "patternProperties"} | {"maxProperties"}
    ),
}
KNOWN = ANNOTATIONS.union(*KEYWORDS.values())


@dataclass(frozen=True)
class Comparison:
    """A comparison of two schemas, each with the definitions that its references name.

    `assumed`: pairs of references that are being compared already, so that a recursive schema ends.
    """

    narrow_root: Schema
    wide_root: Schema
    assumed: frozenset[tuple[str, str]] = field(default_factory=frozenset)

    def problems(self, narrow: Schema, wide: Schema, path: str) -> Iterator[str]:
        if wide is True or narrow is False:
            return
        pair = (_reference(narrow), _reference(wide))
        if all(pair):
            if pair in self.assumed:
                return
            deeper = Comparison(self.narrow_root, self.wide_root, self.assumed | {pair})
        else:
            deeper = self
        narrow, wide = _resolved(narrow, self.narrow_root), _resolved(wide, self.wide_root)
        strange = sorted((set(narrow) | set(wide)) - KNOWN)
        if strange:
            yield f"{path}: {', '.join(strange)} cannot be compared"
            return
        yield from deeper._by_alternatives(narrow, wide, path)

    def _by_alternatives(self, narrow: Schema, wide: Schema, path: str) -> Iterator[str]:
        """Yield problems of schemas with alternatives: each alternative of `narrow` must fit, as a whole, into one of
        `wide`."""
        branches = _alternatives(narrow)
        if branches != [narrow]:
            for branch in branches:
                yield from self.problems(branch, wide, path)
            return
        options = _alternatives(wide)
        if options == [wide]:
            yield from self._plain(narrow, wide, path)
            return
        if not options:
            yield f"{path}: {_shown(narrow)}, where nothing is allowed"
            return
        if any(name in wide for name in ALTERNATIVES) and not _are_disjoint(wide, self.wide_root):
            yield f"{path}: oneOf cannot be compared unless a discriminator distinguishes its alternatives"
            return
        tried = [list(self.problems(narrow, option, path)) for option in options]
        if all(tried):
            closest = min(tried, key=len)
            yield (
                closest[0] if len(tried) == 1 else f"{path}: {_shown(narrow)} is none of what is allowed ({closest[0]})"
            )

    def _plain(self, narrow: Schema, wide: Schema, path: str) -> Iterator[str]:
        """Yield problems of schemas without alternatives: one type, one value, or anything."""
        allowed = _values(wide)
        if "const" in narrow:
            yield from self._one_value(narrow["const"], wide, path)
            return
        if allowed is not None:
            yield f"{path}: any {_shown(narrow)}, where only {allowed} are allowed"
            return
        kind, wanted = narrow.get("type"), wide.get("type")
        if wanted is None:
            if set(wide) - ANNOTATIONS:
                yield f"{path}: {_shown(wide)} is compared only where its type is said"
            return
        if kind != wanted and (kind, wanted) != ("integer", "number"):
            yield f"{path}: {_shown(narrow)}, where {_shown(wide)} is expected"
            return
        yield from self._of_type(kind, narrow, wide, path)

    def _one_value(self, value: Any, wide: Schema, path: str) -> Iterator[str]:
        allowed = _values(wide)
        if allowed is not None:
            if not any(_same(value, other) for other in allowed):
                yield f"{path}: the value {value!r}, where only {allowed} are allowed"
        elif isinstance(value, str):
            exact = {"type": "string", "minLength": len(value), "maxLength": len(value)}
            if (pattern := wide.get("pattern")) and re.search(pattern, value):
                exact["pattern"] = pattern
            yield from self._plain(exact, wide, path)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            kind = "integer" if isinstance(value, int) else "number"
            yield from self._plain({"type": kind, "minimum": value, "maximum": value}, wide, path)
        else:
            kind = "null" if value is None else "boolean" if isinstance(value, bool) else "no plain value"
            yield from self._plain({"type": kind}, wide, path)

    def _of_type(self, kind: str, narrow: Schema, wide: Schema, path: str) -> Iterator[str]:
        match kind:
            case "string":
                yield from _strings(narrow, wide, path)
            case "integer" | "number":
                yield from _numbers(kind, narrow, wide, path)
            case "array":
                yield from self._arrays(narrow, wide, path)
            case "object":
                yield from self._objects(narrow, wide, path)

    def _arrays(self, narrow: Schema, wide: Schema, path: str) -> Iterator[str]:
        yield from _sizes("Items", narrow, wide, path)
        if wide.get("uniqueItems") and not narrow.get("uniqueItems"):
            yield f"{path}: items may repeat, and were to be unique"
        first, second = narrow.get("prefixItems", []), wide.get("prefixItems", [])
        longest = min(max(len(first), len(second)), narrow.get("maxItems", inf))
        for index in range(int(longest)):
            yield from self.problems(_item(narrow, index), _item(wide, index), f"{path}[{index}]")
        if narrow.get("maxItems", inf) > longest:
            yield from self.problems(narrow.get("items", True), wide.get("items", True), f"{path}[]")

    def _objects(self, narrow: Schema, wide: Schema, path: str) -> Iterator[str]:
        yield from _sizes("Properties", narrow, wide, path)
        for name in sorted(set(wide.get("required", [])) - set(narrow.get("required", []))):
            yield f"{path}.{name}: may be missing, and was to be there"
        mine, theirs = narrow.get("patternProperties", {}), wide.get("patternProperties", {})
        if set(mine) != set(theirs):
            yield f"{path}: patternProperties differ, which cannot be compared"
            return
        for pattern, part in mine.items():
            yield from self.problems(part, theirs[pattern], f"{path}.<{pattern}>")
        if mine and set(narrow.get("properties", {})) != set(wide.get("properties", {})):
            yield f"{path}: fields beside patternProperties differ, which cannot be compared"
            return
        names = wide.get("propertyNames", True)
        if names is not True:
            yield from self._names(narrow, names, path)
        yield from self._fields(narrow, wide, path)

    def _names(self, narrow: Schema, names: Schema, path: str) -> Iterator[str]:
        for name in narrow.get("properties", {}):
            yield from self.problems({"const": name}, names, f"{path}.{name} (its name)")
        if narrow.get("additionalProperties", True) is not False or narrow.get("patternProperties"):
            any_name = {"type": "string", **_resolved(narrow.get("propertyNames", True), self.narrow_root)}
            names_schema = {"type": "string", **_resolved(names, self.wide_root)}
            yield from self.problems(any_name, names_schema, f"{path} (names)")

    def _fields(self, narrow: Schema, wide: Schema, path: str) -> Iterator[str]:
        fields, expected = narrow.get("properties", {}), wide.get("properties", {})
        others, allowed = narrow.get("additionalProperties", True), wide.get("additionalProperties", True)
        for name in sorted(set(fields) | set(expected)):
            yield from self.problems(fields.get(name, others), expected.get(name, allowed), f"{path}.{name}")
        if others is not False:
            yield from self.problems(others, allowed, f"{path}.*")


def problems(narrow: Schema, wide: Schema) -> list[str]:
    """Return why `wide` does not allow everything that `narrow` allows; empty if it does."""
    return list(Comparison(narrow, wide).problems(narrow, wide, "$"))


def _strings(narrow: Schema, wide: Schema, path: str) -> Iterator[str]:
    yield from _sizes("Length", narrow, wide, path)
    for name in ("pattern", "format"):
        if name in wide and narrow.get(name) != wide[name]:
            yield f"{path}: {name} {narrow.get(name)!r}, where {wide[name]!r} was promised"


def _sizes(of: str, narrow: Schema, wide: Schema, path: str) -> Iterator[str]:
    least, most = f"min{of}", f"max{of}"
    if narrow.get(least, 0) < wide.get(least, 0):
        yield f"{path}: {least} {narrow.get(least, 0)}, where {wide[least]} was promised"
    if narrow.get(most, inf) > wide.get(most, inf):
        yield f"{path}: {most} {narrow.get(most, 'unbounded')}, where {wide[most]} was promised"


def _numbers(kind: str, narrow: Schema, wide: Schema, path: str) -> Iterator[str]:
    whole = kind == "integer"
    if (mine := _lower(narrow, whole=whole)) < (theirs := _lower(wide, whole=whole)):
        yield f"{path}: from {mine[0]}, where from {theirs[0]} was promised"
    if (mine := _upper(narrow, whole=whole)) < (theirs := _upper(wide, whole=whole)):
        yield f"{path}: up to {-mine[0]}, where up to {-theirs[0]} was promised"
    if (step := wide.get("multipleOf")) and narrow.get("multipleOf") != step:
        yield f"{path}: need not be a multiple of {step}"


def _lower(schema: Schema, *, whole: bool) -> tuple[float, bool]:
    """Return the lower bound in a comparable form: a greater one refuses more."""
    bounds = [(schema.get("minimum", -inf), False)]
    if (beyond := schema.get("exclusiveMinimum")) is not None:
        bounds.append((beyond + 1, False) if whole and isinstance(beyond, int) else (beyond, True))
    return max(bounds)


def _upper(schema: Schema, *, whole: bool) -> tuple[float, bool]:
    """Return the negative of the upper bound in a comparable form: a greater one refuses more."""
    bounds = [(-schema.get("maximum", inf), False)]
    if (beyond := schema.get("exclusiveMaximum")) is not None:
        bounds.append((1 - beyond, False) if whole and isinstance(beyond, int) else (-beyond, True))
    return max(bounds)


def _item(schema: Schema, index: int) -> Schema:
    prefix: Sequence[Schema] = schema.get("prefixItems", [])
    return prefix[index] if index < len(prefix) else schema.get("items", True)


def _reference(schema: Schema) -> str:
    return str(schema.get("$ref", "")) if isinstance(schema, Mapping) else ""


def _resolved(schema: Schema, root: Schema) -> Mapping[str, Any]:
    """Return the schema that a reference names. Beside a reference only annotations are supported."""
    while reference := _reference(schema):
        beside = set(schema) - ANNOTATIONS - {"$ref"}
        if beside or not reference.startswith("#/"):
            return {f"$ref {reference}{' beside ' if beside else ''}{' '.join(sorted(beside))}": True}
        schema = root
        for part in reference.removeprefix("#/").split("/"):
            schema = schema[part]
    if isinstance(schema, bool):
        return {} if schema else {"enum": []}
    found: Mapping[str, Any] = schema
    return found


def _alternatives(schema: Mapping[str, Any]) -> list[Schema]:
    """Return schemas that together allow what `schema` does; the schema itself if it has no alternatives."""
    rest = {name: part for name, part in schema.items() if name not in ANNOTATIONS | {"discriminator"}}
    for name in ALTERNATIVES:
        if name in rest:
            if len(rest) > 1:
                return [{f"{name} beside {' '.join(sorted(set(rest) - {name}))}": True}]
            return list(rest[name])
    if set(rest) & {"enum", "const"} and set(rest) - {"enum", "const", "type"}:
        return [{f"a listed value beside {' '.join(sorted(set(rest) - {'enum', 'const', 'type'}))}": True}]
    if "const" in rest:
        return [schema] if _fits(rest["const"], rest.get("type")) else []
    if "enum" in rest:
        return [{"const": value} for value in rest["enum"] if _fits(value, rest.get("type"))]
    if isinstance(kinds := rest.get("type"), list):
        return [{**rest, "type": kind} for kind in kinds]
    return [schema]


def _are_disjoint(schema: Schema, root: Schema) -> bool:
    """Return whether no instance fits two alternatives, which `oneOf` would refuse."""
    if "oneOf" not in schema:
        return True
    name = schema.get("discriminator", {}).get("propertyName")
    tags: list[Any] = []
    for option in schema["oneOf"]:
        shape = _resolved(option, root)
        values = _values(shape.get("properties", {}).get(name, {}))
        if name not in shape.get("required", []) or values is None:
            return False
        tags += values
    return len({str(tag) for tag in tags}) == len(tags)


def _values(schema: Schema) -> list[Any] | None:
    """Return the only values that the schema allows, or None if it does not list them."""
    if "const" in schema:
        return [schema["const"]]
    return list(schema["enum"]) if "enum" in schema else None


def _same(one: Any, other: Any) -> bool:
    """Return whether the values are the same in JSON, in which true is not 1."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _fits(value: Any, kinds: str | Iterable[str] | None) -> bool:
    if kinds is None:
        return True
    actual = {
        type(None): ("null",),
        bool: ("boolean",),
        int: ("integer", "number"),
        float: ("number",),
        str: ("string",),
        list: ("array",),
        dict: ("object",),
    }[type(value)]
    wanted = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    return any(kind in wanted for kind in actual)


def _shown(schema: Schema) -> str:
    if "const" in schema:
        return f"the value {schema['const']!r}"
    return f"{schema['type']}" if "type" in schema else "anything"
