"""Settings a person types: YAML in, frozen and checked models out, one line about the first fault."""

from __future__ import annotations

import difflib
import json
import re
import types
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, model_validator

from manifests.errors import UserError

Span = tuple[float, float]
"""A closed range [low, high] that values are drawn from."""

Model = TypeVar("Model", bound="Settings")


class Settings(BaseModel):
    """A section of a settings file. Strict: "17" is no integer, and an unknown key is a fault."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        validate_default=True,
        use_attribute_docstrings=True,
    )


class Weights(Settings):
    """A section whose every field is a weight: at least 0, and not all 0. Only ratios matter."""

    @model_validator(mode="after")
    def _some_weight(self) -> Weights:
        if not sum(weight for _, weight in self.items()) > 0:
            raise ValueError("needs at least one weight above 0")
        return self

    def items(self) -> list[tuple[str, float]]:
        """(name, weight) in the order of declaration, whatever the order in the file."""
        return [(name, getattr(self, name)) for name in type(self).model_fields]


def within(low: float, high: float) -> AfterValidator:
    """A number in [low, high]."""

    def check(value: Any) -> Any:
        if not low <= value <= high:
            raise ValueError(f"must be between {low:g} and {high:g}" if high < 1e6 else _wide(low, high))
        return value

    return AfterValidator(check)


def span_within(low: float, high: float) -> AfterValidator:
    """A range [a, b] with low <= a <= b <= high."""

    def check(value: Any) -> Any:
        if value[0] > value[1]:
            raise ValueError(f"the low end comes first: write [{value[1]:g}, {value[0]:g}]")
        if value[0] < low or value[1] > high:
            raise ValueError(f"both ends must be between {low:g} and {high:g}")
        return value

    return AfterValidator(check)


def _channels(value: tuple[float, float, float]) -> tuple[float, float, float]:
    if not all(0 <= channel <= 1 for channel in value):
        raise ValueError("red, green and blue must each be between 0 and 1")
    return value


Rgb = Annotated[tuple[float, float, float], AfterValidator(_channels)]
"""A linear Rec.709 colour, each channel in [0, 1]."""


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises UserError if it cannot be read, or is no mapping."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; check the path") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8 text; save the file as UTF-8 YAML") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check its kind and permissions") from None
    raw = parse_yaml(text, str(path))
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise UserError(f"{path}: holds {show(raw)}; must be a mapping of `field: value` lines")
    return raw


def parse_yaml(text: str, source: str) -> Any:
    """One YAML document. Raises UserError for a syntax error and for a key given twice."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(f"{source}{where}: not valid YAML: {one_line(error.problem or error)}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{source}: not valid YAML: {one_line(error)}") from None
    except RecursionError:
        raise UserError(f"{source}: not valid YAML: nested too deeply; flatten it") from None
    except Exception as error:  # PyYAML raises what it likes for a tag whose text does not fit
        raise UserError(f"{source}: not valid YAML ({type(error).__name__}); leave tags (!!...) out") from None


def validate(model: type[Model], raw: Any, source: str | Callable[[str], str]) -> Model:
    """A checked model from what a YAML file held.

    ``source`` names where a field's value came from, for the error: a file name, or a function of the
    dotted field path. Raises UserError about the first fault.
    """
    named: Callable[[str], str] = source if callable(source) else lambda _: str(source)
    try:
        text = json.dumps(raw, default=str)  # dates and the like become the strings they were
    except (TypeError, ValueError, RecursionError) as error:
        problem = one_line(error)
        raise UserError(f"{named('')}: not plain settings ({problem}); use text keys, lists, numbers") from None
    try:
        # JSON mode, because there strictness still lets a list be a tuple.
        return model.model_validate_json(text)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        # An unknown key is told first: a misspelt field also shows up as a missing one.
        faults.sort(key=lambda fault: fault["type"] != "extra_forbidden")
        path, line = _explain(model, faults[0])
        others = len(faults) - 1
        more = f" (and {others} more {'fault' if others == 1 else 'faults'})" if others else ""
        raise UserError(f"{named(path)}: {line}{more}") from None


def did_you_mean(word: str, known: Iterable[str], what: str = "known") -> str:
    """``did you mean X?``, or the list of what is known."""
    names = list(known)
    folded = {name.lower(): name for name in names}
    near = difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.6)
    return f"did you mean {folded[near[0]]}?" if near else f"{what}: {', '.join(names)}"


def show(value: Any) -> str:
    """A value as a person typed it, short and on one line."""
    try:
        text = json.dumps(value, default=str, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = f"a {type(value).__name__}"
    text = one_line(text)
    return text if len(text) <= 60 else text[:57] + "..."


def one_line(text: object) -> str:
    return " ".join(str(text).split())


class _Loader(yaml.SafeLoader):
    """YAML's safe subset, with a key given twice refused and 1e-3 read as a number, as YAML 1.2 does.

    Aliases are refused: a few lines of them can stand for a mapping of any size.
    """

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.MarkedYAMLError(problem="aliases (*name) are not read; write the value out", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            try:
                repeated = key in seen
                seen.add(key)
            except TypeError:
                continue  # the base class reports an unhashable key
            if repeated:
                problem = f"the key {show(key)} is given twice; keep one"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def _wide(low: float, high: float) -> str:
    return f"must be between {int(low)} and {int(high)}"


def _explain(model: type[Settings], fault: Any) -> tuple[str, str]:
    """The field's dotted path, and what is wrong with it."""
    kind, given = fault["type"], fault["input"]
    parts = [part for part in fault["loc"] if part != "[key]"]
    if kind == "missing" and parts and isinstance(parts[-1], int):
        parts, kind = parts[:-1], "too_short"
    path = ".".join(str(part) for part in parts)
    if kind == "extra_forbidden":
        section = _model_at(model, parts[:-1])
        known = list(section.model_fields) if section else []
        return path, f"{path}: unknown key; {did_you_mean(str(parts[-1]), known, 'known keys')}"
    if kind == "missing":
        section = _model_at(model, parts[:-1])
        field = section.model_fields.get(str(parts[-1])) if section else None
        meaning = f" ({one_line(field.description)})" if field and field.description else ""
        return path, f"{path}: missing; add it{meaning}"
    if kind == "value_error":
        allowed = str(fault["ctx"]["error"])
    elif kind in ("too_short", "too_long", "tuple_type") and "Tuple" in str(fault.get("ctx", "Tuple")):
        allowed = _tuple_shape(model, parts)
    elif kind == "model_type":
        allowed = "must be a section of `field: value` lines"
    elif kind == "literal_error":
        allowed = f"must be {fault['ctx']['expected']}".replace("'", "")
    else:
        allowed = str(fault["msg"]).replace("Input should be", "must be").replace("valid integer", "whole number")
    # A fault of the whole file names its field itself.
    return path, f"{path} = {show(given)}: {allowed}" if path else allowed


def _tuple_shape(model: type[Settings], parts: list[Any]) -> str:
    section = _model_at(model, parts[:-1])
    field = section.model_fields.get(str(parts[-1])) if section else None
    for option in _options(field.annotation) if field else []:
        arguments = get_args(option)
        if get_origin(option) is tuple and Ellipsis not in arguments:
            names = {2: "[low, high]", 3: "[red, green, blue]"}.get(len(arguments), "")
            if arguments == (int, int):
                names = "[width, height]"
            return f"must be a list of {len(arguments)} numbers {names}"
    return "must be a list, as in [a, b]"


def _model_at(model: type[Settings], parts: list[Any]) -> type[Settings] | None:
    """The section that a fault's location lies in."""
    current: Any = model
    for part in parts:
        found = None
        if isinstance(current, type) and issubclass(current, Settings):
            field = current.model_fields.get(str(part))
            found = field.annotation if field else None
        elif get_origin(current) in (dict, tuple):
            found = get_args(current)[-1 if get_origin(current) is dict else 0]
        for option in _options(found):
            if (isinstance(option, type) and issubclass(option, Settings)) or get_origin(option):
                found = option
                break
        current = found
    return current if isinstance(current, type) and issubclass(current, Settings) else None


def _options(annotation: Any) -> list[Any]:
    """The members of a union, or the annotation itself, without what Annotated adds."""
    if hasattr(annotation, "__metadata__"):
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, types.UnionType):
        return [member for option in get_args(annotation) for member in _options(option)]
    return [annotation]


def source_of(file: str, overrides: Mapping[str, str]) -> Callable[[str], str]:
    """Names the file, or the override on the command line that set a field."""

    def named(path: str) -> str:
        for key, text in overrides.items():
            if path == key or path.startswith(key + ".") or (path and key.startswith(path + ".")):
                return f"override {key}={one_line(text)}"
        return file

    return named
