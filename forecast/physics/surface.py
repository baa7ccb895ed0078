"""The surface embedding: land, sea and sea ice each describe a place, weighted by their share of its area."""

import jax

from forecast.dycore.constant import constant
from forecast.dycore.spherical_harmonics import SphericalHarmonics
from forecast.physics.configuration import Layout, Site, UnsupportedConfiguration
from forecast.physics.features import FEATURES, CombinedFeatures, Feature, Gathered, Surroundings, forcing_field
from forecast.physics.spectral_inputs import Stacks
from forecast.physics.towers import NodalMapping
from forecast.physics.volume import embedding_parts

_LAND, _ICE = "surface/land_fraction", "surface/sea_ice_cover"


class SurfaceEmbedding(Feature):
    """EmbeddingSurfaceFeatures: `output_size` channels named `feature_name`.

    embedding = l land + (1 - l) (1 - c) sea + (1 - l) c ice, with l the land's share of the area and c
    the ice's share of the sea.
    """

    def __init__(self, site: Site):
        embedding = site.child(site.reference("embedding_module"), set())
        if embedding.kind != "NodalLandSeaIceEmbedding":
            raise UnsupportedConfiguration(
                f"the configuration asks for the surface {embedding.kind!r}; known is NodalLandSeaIceEmbedding"
            )
        self.layout: Layout = ((site.get("feature_name"), site.get("output_size")),)
        taken: set[str] = set()
        self.land = _Kind(embedding, "land_embedding", self.layout, taken)
        self.sea = _Kind(embedding, "sea_embedding", self.layout, taken)
        self.ice = _Kind(embedding, "sea_ice_embedding", self.layout, taken)
        self.requests = (*self.land.requests, *self.sea.requests, *self.ice.requests)
        land_fraction = site.context.static_field("land_sea_mask")[:, None]
        self.land_fraction = constant(land_fraction)

    def gather(self, harmonics: SphericalHarmonics, surroundings: Surroundings) -> Gathered:
        """The shares of land and ice, and what the three embeddings gather."""
        gathered = {_LAND: self.land_fraction[...], _ICE: forcing_field(surroundings, "sea_ice_cover")[:, None]}
        for kind in (self.land, self.sea, self.ice):
            gathered |= kind.gather(harmonics, surroundings)
        return gathered

    def columns(self, gathered: Gathered, stacks: Stacks) -> jax.Array:
        """Embedding [longitude, latitude, output]."""
        land, ice = gathered[_LAND].swapaxes(1, 2), gathered[_ICE].swapaxes(1, 2)
        return (
            land * self.land.columns(gathered, stacks)
            + (1 - ice) * (1 - land) * self.sea.columns(gathered, stacks)
            + ice * (1 - land) * self.ice.columns(gathered, stacks)
        )


class _Kind(Feature):
    """The embedding of one kind of surface."""

    def __init__(self, site: Site, parameter: str, layout: Layout, taken: set[str]):
        features, mapping = embedding_parts(site.child(site.reference(parameter), taken), "NodalMapping")
        self.inputs: CombinedFeatures = features
        self.layout = layout
        self.requests = features.requests
        self.mapping = NodalMapping(mapping, features.layouts, layout)

    def gather(self, harmonics: SphericalHarmonics, surroundings: Surroundings) -> Gathered:
        """What its inputs gather."""
        return self.inputs.gather(harmonics, surroundings)

    def columns(self, gathered: Gathered, stacks: Stacks) -> jax.Array:
        """Embedding [longitude, latitude, output]."""
        return self.mapping(self.inputs.columns(gathered, stacks))


FEATURES["EmbeddingSurfaceFeatures"] = SurfaceEmbedding
