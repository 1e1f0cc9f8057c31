"""SVG files of figures: names that show on hovering, and the same drawing in fewer bytes."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count, product
from pathlib import Path
from string import ascii_lowercase
from xml.etree import ElementTree

SVG = "http://www.w3.org/2000/svg"
NAMESPACES = {
    "": SVG,
    "xlink": "http://www.w3.org/1999/xlink",
    "cc": "http://creativecommons.org/ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
}
GROUP, DEFINITIONS, PATH, USE, CIRCLE, TITLE, STYLE = (
    f"{{{SVG}}}{tag}" for tag in ("g", "defs", "path", "use", "circle", "title", "style")
)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
TOKEN = re.compile(rf"[MLQCz]|{NUMBER.pattern}")
MANY_DIGITS = re.compile(r"-?\d+\.\d{3,}")
CIRCLE_IN_ARCS = ["M", *"CCCCCCCC", "z"]
"""Commands of a circle as matplotlib draws it."""
NUMBERS_OF_CIRCLE, HALF_CIRCLE, QUARTER_CIRCLE = 2 + 8 * 6, 2 + 4 * 6 - 1, 2 + 2 * 6 - 2
"""Coordinates of a circle in arcs; the places of its highest point's second one and of its rightmost point's first."""
FINE, COARSE = 100, 10
"""Parts of a point to which paths are rounded: of data, and of land and other decoration."""
DECORATION = "decoration"
"""Identifier of groups that are no data."""
REFERENCE = re.compile(r"(?<=#)[\w-]+")
OFTEN = 3
"""A style that so many elements have is written once, as a class."""

Element = ElementTree.Element


def refine_svg(path: Path, texts: Mapping[str, Sequence[str]]) -> None:
    """Write a title, which viewers show on hovering, into each named point of an SVG file, and make the file small.

    `texts` are titles by identifier of a group. Paths are rounded to a hundredth of a point, finer than any screen or
    printer, or those of decoration to a tenth, and written as steps from point to point. Circles are circles. Styles
    that recur are classes.
    """
    for prefix, address in NAMESPACES.items():
        ElementTree.register_namespace(prefix, address)
    tree = ElementTree.parse(path)
    root = tree.getroot()
    for group in root.iter(GROUP):
        _give_titles(_marks(group), texts.get(group.get("id", ""), ()))
        _clip_once(group)
        if group.get("id") == DECORATION:
            _coarsen(group)
        if group.get("id") not in texts:
            group.attrib.pop("id", None)
    for group in root.iter(GROUP):
        _merge_alike(group)
    defined = _defined(root)
    for element in root.iter():
        if element.tag == PATH and element not in defined:
            _as_circle(element)
        element.attrib.update({name: SHORTER[name](text) for name, text in element.items() if name in SHORTER})
        element.tail = "\n"
    _styles_as_classes(root)
    _shorten_identifiers(root, texts)
    tree.write(path, encoding="utf-8", xml_declaration=True)


def _defined(root: Element) -> set[Element]:
    """Elements that are drawn only where others refer to them."""
    return {element for definitions in root.iter(DEFINITIONS) for element in definitions.iter()}


def _marks(group: Element) -> list[Element]:
    """The elements of a collection that stand for its points, in their order."""
    defined = _defined(group)
    return [element for element in group.iter() if element.tag in (USE, PATH) and element not in defined]


def _give_titles(marks: Sequence[Element], texts: Sequence[str]) -> None:
    for mark, text in zip(marks, texts, strict=False):
        title = Element(TITLE)
        title.text = text
        mark.insert(0, title)


def _clip_once(group: Element) -> None:
    """Clip a group, not each of its elements, where all are clipped alike."""
    clips = {child.get("clip-path") for child in group if child.tag != DEFINITIONS}
    moved = any("transform" in child.attrib for child in group)
    if len(clips) != 1 or None in clips or moved or {"clip-path", "transform"} & set(group.keys()):
        return
    group.set("clip-path", str(clips.pop()))
    for child in group:
        child.attrib.pop("clip-path", None)


def _coarsen(group: Element) -> None:
    for path in group.iter(PATH):
        path.set("d", shortened(path.get("d", ""), COARSE))


def _merge_alike(group: Element) -> None:
    """Neighbouring groups that are clipped alike, and nothing else, as one: arrows are a group each."""
    before: Element | None = None
    for child in list(group):
        if child.tag != GROUP or set(child.keys()) != {"clip-path"}:
            before = None
        elif before is not None and before.attrib == child.attrib:
            before.extend(child)
            group.remove(child)
        else:
            before = child


def _shorten_identifiers(root: Element, kept: Mapping[str, Sequence[str]]) -> None:
    """Identifiers in letters, for hashes of ten digits: each is repeated by whatever refers to it."""
    found = [element.get("id", "") for element in root.iter() if element.get("id", "") not in {"", *kept}]
    names = dict(zip(dict.fromkeys(found), _letters(), strict=False))
    for element in root.iter():
        for key, text in element.items():
            if key == "id":
                element.set(key, names.get(text, text))
            elif "#" in text and (key == "clip-path" or key.endswith("href")):
                element.set(key, REFERENCE.sub(lambda name: names.get(name[0], name[0]), text))


def _as_circle(mark: Element) -> None:
    """A path of eight arcs, as matplotlib draws circles, as the circle that it is: a fifth of the size."""
    text = mark.get("d", "")
    numbers = [float(number) for number in NUMBER.findall(text)]
    if len(numbers) != NUMBERS_OF_CIRCLE or re.findall(r"[A-Za-z]", text) != CIRCLE_IN_ARCS:
        return
    x, bottom, top, right = numbers[0], numbers[1], numbers[HALF_CIRCLE], numbers[QUARTER_CIRCLE]
    radius = abs(bottom - top) / 2
    if abs(abs(right - x) - radius) > 0.01 * radius + 1e-4:
        return
    mark.tag = CIRCLE
    del mark.attrib["d"]
    sizes = {"cx": x, "cy": (bottom + top) / 2, "r": radius}
    mark.attrib.update({name: f"{size:.2f}" for name, size in sizes.items()})


def shortened(path: str, units: int = FINE) -> str:
    """A path of lines and curves with absolute coordinates, rounded and as steps: about half of the text.

    Each step leads to a point rounded to one of so many `units`, so that errors do not add up. Other paths, such as
    steps already, are rounded alone.
    """
    if TOKEN.sub("", path).strip():
        return _rounded(path)
    return "".join(_steps(TOKEN.findall(path), units))


def _rounded(text: str) -> str:
    return MANY_DIGITS.sub(lambda number: f"{float(number[0]):.2f}", text)


def _steps(tokens: Sequence[str], units: int) -> Iterator[str]:
    """The text of a path: moves absolute, all else relative to the point before."""
    at, here, last = 0, (0, 0), ""
    while at < len(tokens):
        command = tokens[at]
        length = {"M": 2, "L": 2, "Q": 4, "C": 6, "z": 0}[command]
        numbers = [round(float(number) * units) for number in tokens[at + 1 : at + 1 + length]]
        origin = (0, 0) if command == "M" else here
        written = _joined([number - origin[i % 2] for i, number in enumerate(numbers)], units)
        letter = command if command in "Mz" else command.lower()
        if letter != last:
            yield letter
        elif not written.startswith("-"):
            yield " "
        yield written
        here = (numbers[-2], numbers[-1]) if numbers else here
        at, last = at + 1 + length, letter if command in "LQC" else ""


def _joined(numbers: Sequence[int], units: int) -> str:
    """Numbers in parts of a point, as short as they can be read."""
    texts = [_short(number, units) for number in numbers]
    return "".join(text if i == 0 or text.startswith("-") else f" {text}" for i, text in enumerate(texts))


def _short(number: int, units: int) -> str:
    sign, (whole, part) = "-" if number < 0 else "", divmod(abs(number), units)
    decimals = f"{part / units:.2f}"[1:].rstrip("0") if part else ""
    return f"{sign}{whole or ('' if decimals else 0)}{decimals}"


SHORTER: Mapping[str, Callable[[str], str]] = {"d": shortened, "x": _rounded, "y": _rounded}
"""Attributes of coordinates, and how they are written in fewer digits."""


def _styles_as_classes(root: Element) -> None:
    """Write a style that recurs once, in the file's style sheet."""
    styles = Counter(element.get("style", "") for element in root.iter())
    often = [style for style, times in styles.items() if style and times >= OFTEN]
    classes = dict(zip(often, _letters(), strict=False))
    for element in root.iter():
        if (name := classes.get(element.get("style", ""))) is not None:
            element.attrib.pop("style")
            element.set("class", name)
    sheet = next(root.iter(STYLE), None)
    if sheet is not None:
        rules = (f".{name}{{{style.replace(': ', ':').replace('; ', ';')}}}" for style, name in classes.items())
        sheet.text = "\n".join([sheet.text or "", *rules])


def _letters() -> Iterator[str]:
    """a, b, ..., z, aa, ab, ..."""
    for length in count(1):
        yield from ("".join(letters) for letters in product(ascii_lowercase, repeat=length))
