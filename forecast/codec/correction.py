"""The learned correction that both codecs add to their interpolated fields (Kochkov et al. 2024, appendix D)."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from forecast.physics.configuration import Layout, Site, prefixed
from forecast.physics.features import ColumnFeatures, Surroundings
from forecast.physics.normalization import ColumnTransform
from forecast.physics.towers import NodalMapping

NO_FEATURES = "NullFeatures"


class Correction(nnx.Module):
    """A tower over features of the data on pressure levels and of the state on sigma layers.

    `data_site` and `model_site` are seen with the levels of those two; `order` names the two users in the
    order in which archives number them.
    """

    def __init__(self, site: Site, data: Site, outputs: Layout, order: Sequence[str]):
        taken: set[str] = set()
        users = {"data": data, "model": site}
        children = {
            name: users[name].child(site.reference(f"modal_to_nodal_{name}_features_module"), taken) for name in order
        }
        self.features = nnx.Dict(
            {name: ColumnFeatures(child) for name, child in children.items() if child.kind != NO_FEATURES}
        )
        layouts = [
            prefixed(layout, f"{name}_") for name, features in self.features.items() for layout in features.layouts
        ]
        mapping = site.child(site.reference("nodal_mapping_module"), taken, on_call=True)
        self.outputs: Layout = outputs
        self.mapping = NodalMapping(mapping, layouts, outputs)
        self.scaling = ColumnTransform(site.within(site.reference("correction_transform_module")), outputs)

    def __call__(
        self, modal: Mapping[str, Mapping[str, jax.Array]], surroundings: Surroundings
    ) -> dict[str, jax.Array]:
        """Grid values [longitude, level, latitude] to add, nondimensional, by archive name.

        `modal` holds the modal fields by archive name of each user, "data" and "model".
        """
        blocks = [block for name, features in self.features.items() for block in features(modal[name], surroundings)]
        predictions = self.scaling(self.mapping(blocks)).swapaxes(1, 2)
        bounds = np.cumsum([count for _, count in self.outputs])[:-1]
        names = [name for name, _ in self.outputs]
        return dict(zip(names, jnp.split(predictions, bounds, axis=1), strict=True))
