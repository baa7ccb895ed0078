"""Configuration text is data: typed values, gin's scope rules, clear errors, nothing executed."""

from pathlib import Path

import pytest

from forecast.checkpoint.errors import GinSyntaxError, MissingBinding
from forecast.checkpoint.gin import Bindings, Macro, Reference, parse

TEXT = r"""
# Macros:
# ======
LAYERS = 32
GRID = @smaller/GridWithWavenumbers()  # a comment behind a value
FIELDS = (0, 2, 4)
%TAU = '120 minutes'
shared/DEPTH = 3

Filter.tau = %TAU
Filter.order = 3
ml/Filter.order = %shared/DEPTH
ml/inner/Filter.tau = '4 minutes'
Sigma.layers = %LAYERS
Tower.net = \
    @decode/MlpUniform
Tower.scales = \
    {'a': -0.0,
     'nested': {'b': 7.845e-06, 'c': True, 'layers': %LAYERS},
     'r': (0.0, 1)}
Tower.modules = (@Radiation, @ml/Filter,)
Tower.one = ('only')
Tower.single = (1,)
Tower.list = [1, 2.5, None, "x" 'y', []]
some.module.Tower.name = None
"""


@pytest.fixture(scope="module")
def bindings() -> Bindings:
    return parse(TEXT)


def test_values_have_the_types_that_they_are_written_with(bindings):
    assert bindings.get("Tower", "scales") == {
        "a": 0.0,
        "nested": {"b": 7.845e-06, "c": True, "layers": 32},
        "r": (0.0, 1),
    }
    assert bindings.get("Tower", "list") == [1, 2.5, None, "xy", []]
    assert bindings.get("Tower", "one") == "only"
    assert bindings.get("Tower", "single") == (1,)
    assert type(bindings.get("Sigma", "layers")) is int


def test_references_stay_symbols(bindings):
    assert bindings.get("Tower", "net") == Reference("decode", "MlpUniform")
    assert bindings.get("Tower", "modules") == (Reference("", "Radiation"), Reference("ml", "Filter"))
    assert bindings.macro("GRID") == Reference("smaller", "GridWithWavenumbers", call=True)


def test_a_scoped_reference_replaces_the_scope_around_it():
    assert Reference("decode", "Mlp").scope_within("outer") == "decode"
    assert Reference("", "Mlp").scope_within("outer") == "outer"


def test_macros_resolve_when_looked_up(bindings):
    assert bindings.values["", "Filter", "tau"] == Macro("TAU")
    assert bindings.get("Filter", "tau") == "120 minutes"
    assert bindings.get("Filter", "order", scope="ml") == 3


@pytest.mark.parametrize(
    ("scope", "tau"), [("", "120 minutes"), ("ml", "120 minutes"), ("ml/inner", "4 minutes"), ("inner", "120 minutes")]
)
def test_innermost_scope_wins_and_falls_back_outwards(bindings, scope, tau):
    assert bindings.get("Filter", "tau", scope=scope) == tau


def test_parameters_merge_all_scopes_around(bindings):
    assert bindings.parameters("Filter", "ml/inner") == {"tau": "4 minutes", "order": 3}


def test_a_module_before_the_class_is_ignored(bindings):
    assert bindings.get("Tower", "name") is None


def test_a_missing_binding_is_named_unless_a_default_is_given(bindings):
    with pytest.raises(MissingBinding, match=r"Filter\.missing in scope 'ml'"):
        bindings.get("Filter", "missing", scope="ml")
    assert bindings.get("Filter", "missing", default=7) == 7
    assert bindings.macro("NONE", default=None) is None


def test_the_later_binding_of_a_parameter_wins():
    assert parse("A.b = 1\nA.b = 2\n").get("A", "b") == 2


def test_undefined_and_circular_macros_are_errors_when_used():
    bindings = parse("A.b = %NO\nX = %Y\nY = (%X,)\nA.c = %X")
    with pytest.raises(MissingBinding, match="%NO"):
        bindings.get("A", "b")
    with pytest.raises(GinSyntaxError, match="by itself"):
        bindings.get("A", "c")


@pytest.mark.parametrize(
    "line",
    [
        "import os",
        "from os import path",
        "include 'other.gin'",
        "A.b = __import__('os').system('true')",
        "A.b = 1 + 1",
        "A.b = [x for x in (1,)]",
        "A.b = f'{1}'",
        "A.b = lambda: 0",
        "A.b = @fn(1)",
        "A.b = (1, 2",
        "A.b = (1 2)",
        "A.b = {'a' 1}",
        "A.b = {[]: 1}",
        "A.b = 'open",
        "A.b = 12abc",
        "A.b = 1 2",
        "A.b = $x",
        "A.b =\n1",
        "A.b",
        "A:\n  b = 1",
        "= 1",
        "A.b = " + "(" * 100,
        "A.b = " + "9" * 10_000,
    ],
)
def test_anything_but_data_is_refused_with_its_line(line):
    with pytest.raises(GinSyntaxError, match=r"configuration line [234]: "):
        parse("X.y = 1\n" + line + "\n")


def test_one_class_name_from_two_modules_is_ambiguous():
    with pytest.raises(GinSyntaxError, match="ambiguous"):
        parse("one.A.b = 1\ntwo.A.b = 2\n")


def test_published_configurations_read_as_gin_itself_reads_them():
    config_parser = pytest.importorskip("gin.config_parser")

    class Symbols(config_parser.ParserDelegate):
        def configurable_reference(self, scoped_name, evaluate):
            scope, _, name = scoped_name.rpartition("/")
            return Reference(scope, name, evaluate)

        def macro(self, scoped_name):
            return Macro(scoped_name)

    configurations = sorted(Path(__file__).parents[4].glob("shared/samples/configs/*.gin"))
    if not configurations:
        pytest.skip("the sample configurations are not beside the checkout")
    for path in configurations:
        text = path.read_text()
        expected = {}
        for statement in config_parser.ConfigParser(text, Symbols()):
            if statement.arg_name:
                expected[statement.scope, statement.selector, statement.arg_name] = statement.value
        assert repr(parse(text).values) == repr(expected)
