"""Neural networks that act on each column of the atmosphere by itself (Kochkov et al. 2024, appendix C.4)."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from forecast.checkpoint.gin import Reference
from forecast.dycore.constant import rounded
from forecast.native import library
from forecast.native.columns import Columns
from forecast.physics.configuration import Layout, Site, UnsupportedConfiguration, lookup, size

Activation = Callable[[jax.Array], jax.Array]

_LARGE_BLOCK = 64
"""Channels from which on a block of features gets a matrix product of its own."""


def gelu(x: jax.Array) -> jax.Array:
    """Gaussian error linear unit, tanh form."""
    return jax.nn.gelu(x, approximate=True)


def _exact_gelu(x: jax.Array) -> jax.Array:
    return jax.nn.gelu(x, approximate=False)


def activation(site: Site) -> Activation:
    """The activation bound to a module."""
    reference = site.reference("activation")
    if reference.name == "gelu":
        return gelu if site.within(reference).get("approximate", True) else _exact_gelu
    known: Mapping[str, Activation] = {"relu": jax.nn.relu, "silu": jax.nn.silu}
    if reference.name not in known:
        raise UnsupportedConfiguration(
            f"the configuration asks for the activation {reference.name!r}; known are gelu, {', '.join(sorted(known))}"
        )
    return known[reference.name]


class Linear(nnx.Module):
    """y = x W + b over the last axis; W is [inputs, outputs]."""

    def __init__(self, site: Site, name: str, inputs: int, outputs: int, *, with_bias: bool = True):
        module = f"{site.path}/~/{name}"
        take = site.context.parameters.take
        self.weight = nnx.Param(rounded(take(module, "w", (inputs, outputs))))
        self.bias = nnx.Param(rounded(take(module, "b", (outputs,)))) if with_bias else None
        self.type = site.context.tower_type

    def __call__(self, x: jax.Array) -> jax.Array:
        """[..., inputs] to [..., outputs]."""
        return self._biased(self._product(x, self.weight[...]))

    def of_blocks(self, blocks: Sequence[jax.Array], rows: Sequence[np.ndarray]) -> jax.Array:
        """The layer applied to an input that comes in blocks [..., n], whose channels are the rows `rows` of W.

        Equals the layer on the channels put in order, without building that array.
        """
        products = (self._product(x, self.weight[...][index]) for x, index in zip(blocks, rows, strict=True))
        return self._biased(sum(products, jnp.zeros((), self.weight.dtype)))

    def _product(self, x: jax.Array, weight: jax.Array) -> jax.Array:
        if self.type is None:
            return jnp.matmul(x, weight)
        return jnp.matmul(x.astype(self.type), weight.astype(self.type), preferred_element_type=x.dtype)

    def _biased(self, y: jax.Array) -> jax.Array:
        return y if self.bias is None else y + self.bias[...]


class Mlp(nnx.Module):
    """Linear layers with an activation between each two of them: a ColumnTower of an MlpUniform."""

    def __init__(self, site: Site, inputs: int, outputs: int):
        _require(site, "ColumnTower")
        net = site.child(site.reference("column_net_factory"), set())
        _require(net, "MlpUniform")
        hidden = [net.get("num_hidden_units")] * net.get("num_hidden_layers")
        sizes = [inputs, *hidden, outputs]
        self.activation = activation(net)
        self.activate_final: bool = net.get("activate_final", False)
        with_bias = net.get("with_bias", True)
        self.layers = nnx.List(
            Linear(net, f"linear_{index}", sizes[index], sizes[index + 1], with_bias=with_bias)
            for index in range(len(sizes) - 1)
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        """[..., inputs] to [..., outputs]."""
        return self._after_first(self.layers[0](x))

    def of_blocks(self, blocks: Sequence[jax.Array], rows: Sequence[np.ndarray]) -> jax.Array:
        """The same for an input in blocks: see `Linear.of_blocks`."""
        return self._after_first(self.layers[0].of_blocks(blocks, rows))

    def _after_first(self, x: jax.Array) -> jax.Array:
        for layer in list(self.layers)[1:]:
            x = layer(self.activation(x))
        return self.activation(x) if self.activate_final else x


class EpdTower(nnx.Module):
    """Encode, process, decode: x = E(inputs), x += P_i(x) for each block, D(x)."""

    def __init__(self, site: Site, inputs: int, outputs: int):
        for parameter in ("post_encode_activation", "pre_decode_activation", "final_activation"):
            if site.get(parameter, None) is not None:
                raise UnsupportedConfiguration(f"{site.kind}.{parameter}: only None is supported")
        taken: set[str] = set()
        latent = site.get("latent_size")

        def tower(parameter: str, tower_inputs: int, tower_outputs: int) -> Mlp:
            reference = site.reference(parameter)
            return Mlp(site.child(reference, taken, on_call=True), tower_inputs, tower_outputs)

        self.encode = tower("encode_tower_factory", inputs, latent)
        self.process = nnx.List(
            tower("process_tower_factory", latent, latent) for _ in range(site.get("num_process_blocks"))
        )
        self.decode = tower("decode_tower_factory", latent, outputs)

    def of_blocks(self, blocks: Sequence[jax.Array], rows: Sequence[np.ndarray]) -> jax.Array:
        """Inputs in blocks [..., n] with their rows (see `Linear.of_blocks`) to [..., outputs]."""
        x = self.encode.of_blocks(blocks, rows)
        for block in self.process:
            x = x + block(x)
        return self.decode(x)


class NodalMapping(nnx.Module):
    """A tower between named channels: features in any order in, predictions in the order of `outputs`.

    The published towers see their features sorted by name; `layouts` gives the layouts of the blocks that
    will be passed, and the channels are matched to the rows of the first layer by that order.
    """

    def __init__(self, site: Site, layouts: Sequence[Layout], outputs: Layout):
        _require(site, "NodalMapping")
        reference: Reference = site.reference("tower_factory")
        tower = site.child(reference, set())
        self.outputs: Layout = outputs
        self._rows = tuple(tuple(index.tolist()) for index in sorted_rows(layouts))
        build = lookup({"EpdTower": EpdTower}, tower, "tower")
        self.tower: EpdTower = build(tower, sum(map(size, layouts)), size(outputs))

    def __call__(self, blocks: Sequence[jax.Array]) -> jax.Array:
        """Blocks [..., n] of the given layouts to predictions [..., size(outputs)]."""
        rows = [np.asarray(row) for row in self._rows]
        large = [index for index, row in enumerate(rows) if len(row) >= _LARGE_BLOCK]
        small = [index for index, row in enumerate(rows) if len(row) < _LARGE_BLOCK]
        inputs, input_rows = [blocks[index] for index in large], [rows[index] for index in large]
        if small:
            inputs.append(jnp.concatenate([blocks[index] for index in small], axis=-1))
            input_rows.append(np.concatenate([rows[index] for index in small]))
        return self.tower.of_blocks(inputs, input_rows)


def sorted_rows(layouts: Sequence[Layout]) -> list[np.ndarray]:
    """For each layout the positions of its channels when all features are sorted by name."""
    entries = sorted((name, count, block) for block, layout in enumerate(layouts) for name, count in layout)
    names = [name for name, _, _ in entries]
    if len(set(names)) != len(names):
        duplicate = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"feature {duplicate!r} comes from two feature modules; expected distinct names")
    starts, position = {}, 0
    for name, count, _ in entries:
        starts[name] = position
        position += count
    return [
        np.concatenate([starts[name] + np.arange(count) for name, count in layout]) if layout else np.zeros(0, int)
        for layout in layouts
    ]


class VerticalConvTower(nnx.Module):
    """Convolutions along the level with an activation between each two of them; zero beyond both ends.

    Float32 goes through `forecast.native` where that is available and knows the activation.
    """

    def __init__(self, site: Site, inputs: int, outputs: int):
        width = site.get("kernel_shape")
        sizes = [inputs, *site.get("channels"), outputs]
        self.activation = activation(site)
        self.activate_final: bool = site.get("activate_final", False)
        with_bias = site.get("with_bias", True)
        kernels, biases = [], []
        for index, (before, after) in enumerate(pairwise(sizes)):
            module = f"{site.path}/~/conv_level" + (f"_{index}" if index else "")
            take = site.context.parameters.take
            kernels.append(take(module, "w", (width, before, after)))
            biases.append(take(module, "b", (after, 1))[:, 0] if with_bias else np.zeros(after))
        self.kernels = nnx.List(nnx.Param(rounded(each)) for each in kernels)
        self.biases = nnx.List(nnx.Param(rounded(each)) for each in biases)
        known = self.activation is gelu and not self.activate_final
        self.native = Columns(kernels, biases) if known and library.available() else None

    def __call__(self, x: jax.Array) -> jax.Array:
        """[column, inputs, level] to [column, outputs, level]."""
        tables = *(each[...] for each in self.kernels), *(each[...] for each in self.biases)
        if self.native is not None and x.dtype == jnp.float32:
            return self.native(x, self._plain, tables)
        return self._plain(tables, x)

    def _plain(self, tables: tuple[jax.Array, ...], x: jax.Array) -> jax.Array:
        """The same in JAX, from kernels and biases."""
        layers = len(tables) // 2
        x = x.swapaxes(1, 2)
        for index, (kernel, bias) in enumerate(zip(tables[:layers], tables[layers:], strict=True)):
            x = jax.lax.conv_general_dilated(x, kernel, (1,), "SAME", dimension_numbers=("NWC", "WIO", "NWC")) + bias
            if index < layers - 1 or self.activate_final:
                x = self.activation(x)
        return x.swapaxes(1, 2)


def _require(site: Site, kind: str) -> None:
    if site.kind != kind:
        raise UnsupportedConfiguration(f"the configuration asks for {site.kind!r} where only {kind!r} is known")
