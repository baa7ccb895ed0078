"""What members do, as functions of a model and arrays to arrays by name: the programs that are compiled.

`identity` is a member's number and attempt, uint32 [2], `origin` the cycle as `hour_of` counts it, uint32, so that
one program serves all cycles. A state goes in as it is and comes out as `model_state.named`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from forecast.model import HybridModel
from forecast.model_state import ModelState, named
from forecast.programs import Arrays

_ENCODING = 0


def member_key(origin: Any, identity: Any) -> jax.Array:
    """The random key of a member: a function of cycle, member and attempt, whatever the ensemble."""
    key = jax.random.fold_in(jax.random.key(0, impl="threefry2x32"), origin)
    return jax.random.fold_in(jax.random.fold_in(key, identity[0]), identity[1])


def encode(model: HybridModel, analysis: Any, forcing: Any, hour: Any, origin: Any, identity: Any) -> Arrays:
    """A member's state at the time of the analysis, `hour`."""
    key = jax.random.fold_in(member_key(origin, identity), _ENCODING)
    return named(model.encode(analysis, forcing, hour, key))


def step(
    model: HybridModel, state: Any, forcing: Any, origin: Any, identity: Any, hour: Any, *, fresh: bool = False
) -> Arrays:
    """A member's state an hour later; `hour` is the number of the step, see `members.step_number`."""
    return named(_stepped(model, state, forcing, origin, identity, hour, fresh))


def steps(
    model: HybridModel, states: Any, forcing: Any, origin: Any, identities: Any, hour: Any, *, fresh: bool = False
) -> Arrays:
    """The states [member, ...] of a batch an hour later."""
    one = partial(_stepped, model, fresh=fresh)
    return named(jax.vmap(one, in_axes=(0, None, None, 0, None))(states, forcing, origin, identities, hour))


def decode(model: HybridModel, state: Any, forcing: Any) -> Arrays:
    """Fields by name, and of each its least and greatest value."""
    fields = model.decode(state, forcing)
    least = {f"{name}/min": values.min() for name, values in fields.items()}
    return fields | least | {f"{name}/max": values.max() for name, values in fields.items()}


def redraw(model: HybridModel, state: Any, origin: Any, identity: Any) -> Arrays:
    """The state with other random fields, those of this attempt of the member."""
    key = jax.random.fold_in(member_key(origin, identity), _ENCODING)
    return named(model.redraw(state, key))


def stack(model: HybridModel, *states: Any) -> Arrays:
    """States as one with a leading axis [member, ...]."""
    return named(jax.tree.map(lambda *x: jnp.stack(x), *states))


def unstack(model: HybridModel, states: Any, index: Any) -> Arrays:
    """One of the states [member, ...]."""
    return named(jax.tree.map(lambda x: x[index], states))


def bound(name: str, graph: Any, leaves: Any) -> Callable[..., Arrays]:
    """An operation as a function of the list of a model's arrays and its other arguments."""
    operation = OPERATIONS[name]

    def run(arrays: list[jax.Array], *arguments: Any) -> Arrays:
        return operation(nnx.merge(graph, jax.tree.unflatten(leaves, arrays)), *arguments)

    return run


def _stepped(
    model: HybridModel, state: ModelState, forcing: Any, origin: Any, identity: Any, hour: Any, fresh: bool
) -> ModelState:
    key = jax.random.fold_in(member_key(origin, identity), 1 + hour)
    return model.step(state, forcing, key, fresh=fresh)


OPERATIONS: dict[str, Callable[..., Arrays]] = {
    "encode": encode,
    "first step": partial(step, fresh=True),
    "step": step,
    "first steps": partial(steps, fresh=True),
    "steps": steps,
    "decode": decode,
    "redraw": redraw,
    "stack": stack,
    "unstack": unstack,
}
