"""The volume embedding: convolutions along each column, whose results the towers see as further features."""

import jax
import jax.numpy as jnp
import numpy as np

from forecast.dycore.spherical_harmonics import SphericalHarmonics
from forecast.physics.configuration import Layout, Site, UnsupportedConfiguration, lookup, size
from forecast.physics.features import FEATURES, CombinedFeatures, Feature, Gathered, Surroundings
from forecast.physics.spectral_inputs import Stacks
from forecast.physics.towers import VerticalConvTower, sorted_rows


class VolumeEmbedding(Feature):
    """EmbeddingVolumeFeatures: `output_size` features with all levels, named `feature_name`_i."""

    def __init__(self, site: Site):
        embedding = site.child(site.reference("embedding_module"), set())
        features, mapping = embedding_parts(embedding, "NodalVolumeMapping")
        self.inputs: CombinedFeatures = features
        self.order: tuple[int, ...] = _sorted_blocks(self.inputs.layouts)
        self.level_count: int = len(site.context.sigma_centers)
        outputs = site.get("output_size")
        names = sorted(f"{site.get('feature_name')}_{index}" for index in range(outputs))
        self.layout: Layout = tuple((name, self.level_count) for name in names)
        self.requests = self.inputs.requests
        tower = mapping.child(mapping.reference("tower_factory"), set())
        build = lookup({"VerticalConvTower": VerticalConvTower}, tower, "tower")
        self.tower: VerticalConvTower = build(tower, len(self.order) // self.level_count, outputs)

    def gather(self, harmonics: SphericalHarmonics, surroundings: Surroundings) -> Gathered:
        """What its inputs gather."""
        return self.inputs.gather(harmonics, surroundings)

    def columns(self, gathered: Gathered, stacks: Stacks) -> jax.Array:
        """Embedding [longitude, latitude, output and level]."""
        blocks = self.inputs.columns(gathered, stacks)
        channels = jnp.concatenate(blocks, axis=-1)[..., np.asarray(self.order)]
        longitudes, latitudes, _ = channels.shape
        x = channels.reshape(longitudes * latitudes, -1, self.level_count)
        return self.tower(x).reshape(longitudes, latitudes, -1)


def embedding_parts(site: Site, mapping_kind: str) -> tuple[CombinedFeatures, Site]:
    """The features of a ModalToNodalEmbedding and the site of its mapping, which must be a `mapping_kind`."""
    if site.kind != "ModalToNodalEmbedding":
        raise UnsupportedConfiguration(f"the configuration asks for {site.kind!r}; known is ModalToNodalEmbedding")
    if site.get("output_transform_module", None) is not None:
        kind = site.reference("output_transform_module").name
        if kind != "IdentityTransform":
            raise UnsupportedConfiguration(f"{site.kind}.output_transform_module: {kind!r}; known is IdentityTransform")
    taken: set[str] = set()
    features = CombinedFeatures(site.child(site.reference("modal_to_nodal_features_module"), taken))
    mapping = site.child(site.reference("nodal_mapping_module"), taken, on_call=True)
    if mapping.kind != mapping_kind:
        raise UnsupportedConfiguration(f"the configuration asks for {mapping.kind!r} where {mapping_kind!r} is known")
    return features, mapping


def _sorted_blocks(layouts: tuple[Layout, ...]) -> tuple[int, ...]:
    """Positions in the blocks, one after another, of the channels sorted by feature."""
    positions = [0] * sum(map(size, layouts))
    current = 0
    for rows in sorted_rows(layouts):
        for row in rows:
            positions[row] = current
            current += 1
    return tuple(positions)


FEATURES["EmbeddingVolumeFeatures"] = VolumeEmbedding
