"""The learned physics and the random fields against the reference, module by module."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

pytest.importorskip("neuralgcm")

from dinosaur import primitive_equations

from forecast.checkpoint import gin, published
from forecast.checkpoint.parameters import Parameters
from forecast.dycore.scales import Scales
from forecast.dycore.sigma import SigmaLayers
from forecast.dycore.spectral_grid import SpectralGrid
from forecast.dycore.spherical_harmonics import SphericalHarmonics
from forecast.dycore.state import State
from forecast.physics.configuration import ARCHIVE_NAMES, Context, Site
from forecast.physics.features import ColumnFeatures, Surroundings, sorted_features
from forecast.physics.insolation import Phases, published_phases
from forecast.physics.parameterization import Parameterization, modal_fields, step_site
from forecast.stochastic.random_fields import RandomFields, layout_of, of_owner
from tests.parity.archives import random_archive, reduced, static_on
from tests.parity.reference import Reference, swap

_TRACERS = (
    "specific_humidity",
    "mass_fraction_of_cloud_ice_in_air",
    "mass_fraction_of_cloud_liquid_water_in_air",
)
_LAYERS = 32
_FORCING = {"sea_surface_temperature": "sea_surface_temperature", "sea_ice_cover": "sea_ice_area_fraction"}


@dataclass(frozen=True)
class Case:
    """One archive in both implementations, and one moment to compare at."""

    reference: Reference
    archive: published.Archive
    context: Context
    their_state: Any
    their_randomness: Any
    time: float

    @property
    def step(self) -> Site:
        return step_site(self.context)

    @property
    def substep(self) -> float:
        return self.context.scales.quantity("1 hour") / self.step.get("num_substeps")

    @property
    def forcing(self) -> dict[str, np.ndarray]:
        return {name: np.asarray(self.reference.forcings[name])[0] for name in _FORCING}

    @property
    def state(self) -> State:
        return to_state(self.their_state)

    @property
    def randomness(self) -> jax.Array:
        return jnp.asarray(swap(_stacked(self.their_randomness.nodal_value)))

    @property
    def our_forcing(self) -> dict[str, jax.Array]:
        return {ours: jnp.asarray(self.forcing[theirs]) for theirs, ours in _FORCING.items()}

    @property
    def phases(self) -> Phases:
        return published_phases(jnp.float32(self.time), self.context.scales.time)


def _stacked(fields: Any) -> np.ndarray:
    """Random fields of the reference, one array or a dictionary in the order of creation, as [field, ., .]."""
    return (
        np.stack([np.asarray(value) for value in fields.values()]) if isinstance(fields, dict) else np.asarray(fields)
    )


def to_state(theirs: Any) -> State:
    """The reference's state or tendency in our layout; a missing field is zero."""
    fields = {
        name: jnp.asarray(swap(values)) if (values := getattr(theirs, name)) is not None else jnp.zeros(())
        for name in ("vorticity", "divergence", "temperature_variation", "log_surface_pressure")
    }
    tracers = {name: jnp.asarray(swap(theirs.tracers[ARCHIVE_NAMES.get(name, name)])) for name in _TRACERS}
    return State(**fields, tracers=tracers)


def _context(archive: published.Archive, max_wavenumber: int) -> Context:
    scales = Scales()
    levels = dict.fromkeys(("vorticity", "divergence", "temperature_variation"), _LAYERS) | {"log_surface_pressure": 1}
    levels |= {ARCHIVE_NAMES.get(name, name): _LAYERS for name in _TRACERS}
    geopotential = archive.static.surface_geopotential.values.astype(np.float64)
    context = Context(
        bindings=gin.parse(archive.config_text),
        parameters=Parameters(archive.params),
        harmonics=SphericalHarmonics(SpectralGrid.linear(max_wavenumber)),
        scales=scales,
        sigma_centers=np.asarray(SigmaLayers.equidistant(_LAYERS).centers),
        levels=levels,
        static={
            "land_area_fraction": archive.static.land_area_fraction.values,
            "surface_geopotential": scales.nondimensionalize(geopotential, "m2 s-2"),
        },
    )
    return Context(**{**vars(context), "randomness": layout_of(step_site(context))})


def _synthetic_state(context: Context, time: float) -> Any:
    """A smooth random state of realistic size, in the reference's form."""
    rng = np.random.default_rng(5)
    grid = context.harmonics.grid
    decay = grid.mask * (1.0 + grid.l) ** -1.5
    sizes = {"vorticity": 1.0, "divergence": 0.1, "temperature_variation": 40.0, "log_surface_pressure": 0.3}

    def field(size: float, levels: int) -> jax.Array:
        return jnp.asarray(size * decay * rng.normal(size=(levels, *decay.shape)), jnp.float32)

    fields = {name: field(size, context.levels[name]) for name, size in sizes.items()}
    fields["log_surface_pressure"] += jnp.asarray(1.72 * np.sqrt(4 * np.pi) * (grid.l == 0) * grid.mask, jnp.float32)
    sizes = dict(zip((ARCHIVE_NAMES.get(name, name) for name in _TRACERS), (5e-3, 1e-5, 2e-5), strict=True))
    profile = jnp.asarray(context.sigma_centers[:, None, None] ** 2, jnp.float32)
    tracers = {name: profile * field(size, _LAYERS) for name, size in sizes.items()}
    return primitive_equations.State(**fields, tracers=tracers, sim_time=jnp.float32(time))


def _sample(model: Any, key: Any) -> Any:
    return model.advance_fn.randomness_fn.unconditional_sample(key)


@pytest.fixture(scope="module", params=["trained", "published 1.4 degree"])
def case(request: pytest.FixtureRequest, neuralgcm_data: Any) -> Iterator[Case]:
    """The trained model with a real encoded state; the 1.4 degree configuration, reduced, with random weights."""
    archive = published.read(neuralgcm_data.checkpoint)
    trained = request.param == "trained"
    if not trained:
        text = (request.getfixturevalue("samples") / "configs" / "stochastic_1_4_deg.gin").read_text()
        archive = random_archive(reduced(text), static_on(archive.static, 64, 32), seed=1)
    reference = Reference.of(archive)
    context = _context(archive, 63 if trained else 31)
    if trained:
        encoded = reference.encode()
        state, randomness = encoded.state, encoded.randomness
    else:
        state = _synthetic_state(context, float(Scales().quantity("7000 days")))
        randomness = reference.call(_sample, jax.random.key(3))
    yield Case(reference, archive, context, state, randomness, float(state.sim_time))
    jax.clear_caches()


@pytest.fixture(scope="module")
def parameterization(case: Case) -> Parameterization:
    return Parameterization(case.context, case.substep)


@pytest.fixture(scope="module")
def random_fields(case: Case) -> RandomFields:
    fields = of_owner(case.step, case.context.scales.quantity("1 hour"))
    assert fields is not None
    return fields


def _their_features(model: Any, state: Any, randomness: Any, forcing: Any) -> Any:
    features = model.advance_fn.physics_parameterization_fn.modal_to_nodal_features_fn
    return features(state.asdict(), None, {}, randomness, forcing)


def _their_tendency(model: Any, state: Any, randomness: Any, forcing: Any) -> Any:
    return model.advance_fn.physics_parameterization_fn(state, None, {}, randomness, forcing)


def _relative_error(ours: Any, theirs: Any) -> float:
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    return float(np.sqrt(np.mean((ours - theirs) ** 2) / np.mean(theirs**2)))


def test_every_parameter_of_the_physics_belongs_to_a_module(
    case: Case, parameterization: Parameterization, random_fields: RandomFields
) -> None:
    learned = jax.tree.leaves(nnx.state((parameterization, random_fields), nnx.Param))
    step = {name: values for name, values in case.archive.params.items() if "_parameterization_step/~/" in name}
    theirs = sum(values.size for name, values in step.items() if "learned_orography" not in name)
    assert sum(leaf.size for leaf in learned) == theirs


def test_features_have_the_names_order_and_values_of_the_reference(
    case: Case, parameterization: Parameterization
) -> None:
    """Features are of order one, and the soft clip rounds them to 2e-6, the spacing of float32 at its bound."""
    theirs = case.reference.call(_their_features, case.their_state, case.their_randomness.nodal_value, case.forcing)
    features: ColumnFeatures = parameterization.features
    surroundings = Surroundings(case.phases, case.our_forcing, case.randomness)
    blocks = nnx.jit(lambda module, state: module(modal_fields(state), surroundings))(features, case.state)
    ours = sorted_features(blocks, features.layouts)
    assert list(ours) == sorted(theirs)
    for name, values in ours.items():
        error = np.asarray(values) - np.moveaxis(theirs[name], 0, -1)
        assert np.sqrt(np.mean(error**2)) < 1e-5, name


def test_tendencies_agree_with_the_reference(case: Case, parameterization: Parameterization) -> None:
    theirs = case.reference.call(_their_tendency, case.their_state, case.their_randomness.nodal_value, case.forcing)
    call = nnx.jit(lambda module, *arguments: module(*arguments))
    ours = call(parameterization, case.state, case.randomness, case.our_forcing, case.phases)
    expected = to_state(theirs)
    assert _relative_error(ours.vorticity, expected.vorticity) < 1e-5
    assert _relative_error(ours.divergence, expected.divergence) < 1e-5
    assert _relative_error(ours.temperature_variation, expected.temperature_variation) < 1e-5
    for name in _TRACERS:
        assert _relative_error(ours.tracers[name], expected.tracers[name]) < 1e-5
    assert ours.log_surface_pressure.shape == case.state.log_surface_pressure.shape
    assert not np.any(ours.log_surface_pressure)


def test_random_fields_have_the_names_and_grid_values_of_the_reference(case: Case, random_fields: RandomFields) -> None:
    theirs = case.their_randomness
    names = list(theirs.core) if isinstance(theirs.core, dict) else ["randomness"]
    assert [name for name, _ in random_fields.layout] == names
    ours = random_fields.nodal(jnp.asarray(_stacked(theirs.core)))
    assert _relative_error(ours, swap(_stacked(theirs.nodal_value))) < 1e-6


def test_random_fields_follow_the_law_of_the_reference(
    case: Case, random_fields: RandomFields, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all noise replaced by ones, a draw and a step show the amplitudes and the memory."""

    def ones(key: Any, lower: Any, upper: Any, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        return jnp.ones(shape, dtype)

    def draw_and_step(model: Any, key: Any) -> Any:
        first = model.advance_fn.randomness_fn.unconditional_sample(key)
        return first.core, model.advance_fn.randomness_fn.advance(first).core

    monkeypatch.setattr(jax.random, "truncated_normal", ones)
    key = jax.random.key(0)
    first, second = map(_stacked, case.reference.call(draw_and_step, key))
    core = random_fields.initial(key)
    assert _relative_error(core, first) < 1e-6
    assert _relative_error(random_fields.advance(core, key), second) < 1e-6
