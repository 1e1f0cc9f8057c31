"""Every key of a run configuration as tables, from the schemas that `spatialjax run` checks it by."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

BOUNDS = {
    "exclusiveMinimum": "above {}",
    "minimum": "at least {}",
    "exclusiveMaximum": "below {}",
    "maximum": "at most {}",
}
Node = dict[str, Any]


def configuration(schema: str, shown: set[str]) -> str:
    """The tables of one schema ("module.Class"), without sections that an earlier one has shown."""
    module, name = schema.rsplit(".", 1)
    node = getattr(import_module(module), name).model_json_schema()
    sections = [section for section in walk(node, node.get("$defs", {}), ()) if section[2] not in shown]
    shown.update(section[2] for section in sections)
    return "\n\n".join(table(path, described) for path, described, _ in sections)


def walk(node: Node, definitions: Node, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Node, str]]:
    """Sections from the top down: path of the table, its node, and its name in the schema."""
    yield path, node, node["title"]
    for key, value in node.get("properties", {}).items():
        for inner, named in sections_of(value, definitions):
            yield from walk(inner, definitions, (*path, key, "NAME") if named else (*path, key))


def sections_of(value: Node, definitions: Node) -> Iterator[tuple[Node, bool]]:
    """The sections that a key can hold, and whether they have names of the user's."""
    if "$ref" in value:
        inner = definitions[value["$ref"].rsplit("/", 1)[1]]
        if "properties" in inner:
            yield inner, False
    for option in (*value.get("anyOf", ()), *value.get("oneOf", ())):
        yield from sections_of(option, definitions)
    for inner in of_any_name(value):
        yield from ((section, True) for section, _ in sections_of(inner, definitions))


def of_any_name(value: Node) -> list[Node]:
    """What a key holds whose own keys are names of the user's."""
    inner = value.get("additionalProperties")
    return [*value.get("patternProperties", {}).values(), *([inner] if isinstance(inner, dict) else [])]


def table(path: tuple[str, ...], node: Node) -> str:
    """One section: what it is, and its keys."""
    kind = node["properties"].get("kind", {}).get("const")
    name = f"[{'.'.join(path)}]" if path else "At the top"
    heading = f"`{name}`" if path else name
    heading += f', `kind = "{kind}"`' if kind else ""
    rows = [row(key, value) for key, value in node["properties"].items() if not holds_section(value)]
    head = "| key | value | default | |\n| --- | --- | --- | --- |\n"
    return "\n\n".join([f"### {heading}", first_line(node), head + "\n".join(rows) if rows else ""]).strip()


def holds_section(value: Node) -> bool:
    """Whether a key is a table of its own."""
    return any("$ref" in option or holds_section(option) for option in (*options(value), *of_any_name(value))) or (
        "$ref" in value
    )


def row(key: str, value: Node) -> str:
    """One key."""
    default = f"`{written(value['default'])}`" if "default" in value and value["default"] is not None else ""
    return f"| `{key}` | {kind_of(value)} | {default} | {value.get('description', '').replace('|', '&#124;')} |"


def kind_of(value: Node) -> str:
    """What values a key takes, in words."""
    if "const" in value or "enum" in value:
        return ", ".join(f"`{written(choice)}`" for choice in value.get("enum", [value.get("const")]))
    if options(value):
        return " or ".join(dict.fromkeys(kind_of(option) for option in options(value) if option.get("type") != "null"))
    names = {"number": "number", "integer": "whole number", "string": "text", "boolean": "true or false"}
    if value.get("type") == "array":
        inner = value.get("items") or next(iter(value.get("prefixItems", [])), {})
        return f"list: {kind_of(inner)}" if inner else "list"
    bounds = [text.format(value[name]) for name, text in BOUNDS.items() if name in value]
    return " ".join([names.get(value.get("type", ""), "table"), " and ".join(bounds)]).strip()


def options(value: Node) -> list[Node]:
    """The alternatives of a key."""
    return [*value.get("anyOf", ()), *value.get("oneOf", ())]


def written(value: Any) -> str:
    """A value as TOML has it."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case list() | tuple():
            return f"[{', '.join(map(written, value))}]"
    return str(value)


def first_line(node: Node) -> str:
    """The description of a section."""
    return node.get("description", "").split("\n\n")[0].replace("\n", " ")
