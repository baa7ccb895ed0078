"""Gin configuration text read as data: nothing is imported, called or evaluated.

The grammar is that of an operative configuration of gin-config 0.5 (github.com/google/gin-config,
docs/index.md): `NAME = value`, `scope/Class.parameter = value`, with values made of Python literals,
references `@scope/name` and `@scope/name()`, and macros `%NAME`. Everything else is an error that
names the line.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from forecast.checkpoint.errors import GinSyntaxError, MissingBinding

_SELECTOR = r"[A-Za-z_][\w.]*(?:/[A-Za-z_][\w.]*)*"
_TOKEN = re.compile(
    rf"""(?P<skip>[ \t\r\f]+|\\[ \t]*\r?\n|\#[^\n]*)
    |(?P<newline>\n)
    |(?P<string>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")
    |(?P<number>[-+]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?!\w))
    |(?P<reference>@{_SELECTOR})
    |(?P<macro>%{_SELECTOR})
    |(?P<selector>{_SELECTOR})
    |(?P<mark>[=,:()\[\]{{}}])""",
    re.VERBOSE,
)
_CONSTANTS = {"True": True, "False": False, "None": None}
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_MAX_DEPTH = 32
_REQUIRED: Any = object()


@dataclass(frozen=True)
class Reference:
    """`@scope/name`, or with `call` its result `@scope/name()`."""

    scope: str
    name: str
    call: bool = False

    def scope_within(self, surrounding: str) -> str:
        """The scope the named object runs in: its own one, which replaces the surrounding, or else that."""
        return self.scope or surrounding


@dataclass(frozen=True)
class Macro:
    """`%name`, a value bound elsewhere under `name`."""

    name: str


@dataclass(frozen=True)
class Bindings:
    """All bindings of a configuration text.

    `values` maps (scope, class, parameter) to a literal, Reference or container of them; the scope is ""
    where none is written. `macros` maps a name to its value. Values are resolved when they are looked up.
    """

    values: Mapping[tuple[str, str, str], Any]
    macros: Mapping[str, Any] = field(default_factory=dict)

    def get(self, name: str, parameter: str, scope: str = "", default: Any = _REQUIRED) -> Any:
        """The value bound to `name.parameter` as seen from `scope`, macros resolved.

        The innermost scope that binds it wins, then the scopes around it, then the unscoped binding:
        from a/b, the order is a/b, a, "". Raises MissingBinding when none is bound and no default is given.
        """
        for candidate in _outwards(scope):
            if (candidate, name, parameter) in self.values:
                return self.resolve(self.values[candidate, name, parameter])
        if default is _REQUIRED:
            where = f"in scope {scope!r}" if scope else "without scope"
            raise MissingBinding(f"the configuration binds no value to {name}.{parameter} {where}")
        return default

    def parameters(self, name: str, scope: str = "") -> dict[str, Any]:
        """All parameters bound to `name` as seen from `scope`, macros resolved."""
        names = {key[2] for key in self.values if key[1] == name and key[0] in _outwards(scope)}
        return {parameter: self.get(name, parameter, scope) for parameter in sorted(names)}

    def macro(self, name: str, default: Any = _REQUIRED) -> Any:
        """The value of `%name`, resolved. Raises MissingBinding when there is none and no default is given."""
        if name not in self.macros and default is not _REQUIRED:
            return default
        return self.resolve(Macro(name))

    def resolve(self, value: Any, _pending: tuple[str, ...] = ()) -> Any:
        """The value with every macro in it replaced; references stay. Raises GinSyntaxError for a circle."""
        if isinstance(value, Macro):
            if value.name in _pending:
                raise GinSyntaxError(f"the macro %{value.name} is defined by itself")
            if value.name not in self.macros:
                raise MissingBinding(f"the configuration uses the macro %{value.name} but never defines it")
            return self.resolve(self.macros[value.name], (*_pending, value.name))
        if isinstance(value, dict):
            return {key: self.resolve(item, _pending) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self.resolve(item, _pending) for item in value)
        return value


def _outwards(scope: str) -> list[str]:
    """a/b -> [a/b, a, ""]."""
    parts = scope.split("/") if scope else []
    return ["/".join(parts[:n]) for n in range(len(parts), -1, -1)]


def parse(text: str) -> Bindings:
    """Read a configuration text. Raises GinSyntaxError, with the line, for anything but bindings of data."""
    return _Parser(text).parse()


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    line: int


class _Parser:
    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self._tokens = self._tokenize(text)
        self._brackets = 0
        self._next = next(self._tokens)

    def _tokenize(self, text: str) -> Iterator[_Token]:
        position, line = 0, 1
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None or match.lastgroup is None:
                self._fail(line, f"unexpected {text[position]!r}")
            if match.lastgroup != "skip":
                yield _Token(match.lastgroup, match.group(), line)
            line += match.group().count("\n")
            position = match.end()
        yield _Token("end", "end of text", line)

    def _fail(self, line: int, problem: str) -> NoReturn:
        shown = self._lines[line - 1].strip() if line <= len(self._lines) else ""
        raise GinSyntaxError(f"configuration line {line}: {problem} in {shown[:120]!r}")

    def _peek(self) -> _Token:
        while self._brackets and self._next.kind == "newline":
            self._next = next(self._tokens)
        return self._next

    def _take(self) -> _Token:
        token = self._peek()
        if token.kind != "end":
            self._next = next(self._tokens)
        return token

    def _take_mark(self, mark: str) -> None:
        token = self._take()
        if token.kind != "mark" or token.text != mark:
            self._fail(token.line, f"expected {mark!r}, got {token.text!r}")

    def parse(self) -> Bindings:
        values: dict[tuple[str, str, str], Any] = {}
        selectors: dict[tuple[str, str, str], str] = {}
        macros: dict[str, Any] = {}
        while (token := self._take()).kind != "end":
            if token.kind == "newline":
                continue
            value = self._statement_value(token)
            if token.kind == "macro" or "." not in token.text:
                macros[token.text.removeprefix("%")] = value
                continue
            key, selector = self._binding_key(token)
            if selectors.setdefault(key, selector) != selector:
                self._fail(token.line, f"ambiguous names {selector!r} and {selectors[key]!r}")
            values[key] = value
        return Bindings(values, macros)

    def _statement_value(self, token: _Token) -> Any:
        """The value right of `=` in the statement that begins with `token`."""
        if token.text in ("import", "include", "from"):
            self._fail(token.line, f"{token.text!r} statements are refused")
        if token.kind not in ("selector", "macro"):
            self._fail(token.line, f"expected a binding `name = value`, got {token.text!r}")
        self._take_mark("=")
        value = self._value(0)
        end = self._take()
        if end.kind not in ("newline", "end"):
            self._fail(end.line, f"expected the end of the line, got {end.text!r}")
        return value

    def _binding_key(self, token: _Token) -> tuple[tuple[str, str, str], str]:
        """((scope, class, parameter), class as written with its module)."""
        scope, _, selector = token.text.rpartition("/")
        qualified, _, parameter = selector.rpartition(".")
        name = qualified.rpartition(".")[2]
        if not (name and parameter) or "." in scope:
            self._fail(token.line, f"expected scope/Class.parameter, got {token.text!r}")
        return (scope, name, parameter), qualified

    def _value(self, depth: int) -> Any:
        token = self._take()
        if depth > _MAX_DEPTH:
            self._fail(token.line, f"values nested more than {_MAX_DEPTH} deep")
        if token.text in _CLOSING and token.kind == "mark":
            return self._container(token.text, depth + 1)
        if token.kind == "string":
            return self._string(token)
        if token.kind == "number":
            return self._number(token)
        if token.kind == "macro":
            return Macro(token.text[1:])
        if token.kind == "reference":
            return self._reference(token)
        if token.kind != "selector" or token.text not in _CONSTANTS:
            self._fail(token.line, f"expected a literal, @reference or %macro, got {token.text!r}")
        return _CONSTANTS[token.text]

    def _container(self, opening: str, depth: int) -> Any:
        self._brackets += 1
        line = self._peek().line
        items: list[Any] = []
        trailing_comma = False
        while self._peek().text != _CLOSING[opening]:
            items.append(self._item(opening, depth))
            trailing_comma = self._peek().text == ","
            if trailing_comma:
                self._take()
            elif self._peek().text != _CLOSING[opening]:
                self._fail(self._peek().line, f"expected ',' or {_CLOSING[opening]!r}, got {self._peek().text!r}")
        self._brackets -= 1
        self._take()
        if opening == "[":
            return items
        if opening == "{":
            return self._dict(items, line)
        return items[0] if len(items) == 1 and not trailing_comma else tuple(items)

    def _item(self, opening: str, depth: int) -> Any:
        value = self._value(depth)
        if opening != "{":
            return value
        self._take_mark(":")
        return value, self._value(depth)

    def _dict(self, items: list[tuple[Any, Any]], line: int) -> dict[Any, Any]:
        try:
            return dict(items)
        except TypeError:
            self._fail(line, "expected keys that are strings or numbers")

    def _string(self, token: _Token) -> str:
        """A string literal; adjacent ones are joined, as in Python."""
        literals = [token]
        while self._peek().kind == "string":
            literals.append(self._take())
        try:
            return "".join(ast.literal_eval(literal.text) for literal in literals)
        except (SyntaxError, ValueError):
            self._fail(token.line, "malformed string")

    def _reference(self, token: _Token) -> Reference:
        scope, _, name = token.text[1:].rpartition("/")
        call = self._peek().text == "(" and self._peek().kind == "mark"
        if call:
            self._take()
            self._take_mark(")")
        return Reference(scope, name.rpartition(".")[2], call)

    def _number(self, token: _Token) -> int | float:
        try:
            return int(token.text) if re.fullmatch(r"[-+]?[\d_]+", token.text) else float(token.text)
        except ValueError:
            self._fail(token.line, "malformed number")
