"""Physical constants in SI units, each with its source.

Values are those the published NeuralGCM models were trained with (Kochkov et al. 2024, appendix B), so
that a checkpoint computes here what it computed in training.
"""

EARTH_RADIUS = 6.37122e6
"""Mean radius of the Earth [m] (Williamson et al. 1992, J. Comput. Phys. 102, table 1)."""

EARTH_ANGULAR_VELOCITY = 7.292e-5
"""Rotation rate of the Earth [s-1] (Williamson et al. 1992)."""

GRAVITY = 9.80616
"""Acceleration of gravity used inside the model [m s-2] (Williamson et al. 1992)."""

STANDARD_GRAVITY = 9.80665
"""Standard gravity [m s-2] (CGPM 1901); converts geopotential to geopotential height in products."""

DRY_AIR_KAPPA = 2.0 / 7.0
"""R / cp of dry air [1]: an ideal diatomic gas."""

DRY_AIR_HEAT_CAPACITY = 1004.0
"""Isobaric heat capacity of dry air [J kg-1 K-1], the value of the published models."""

DRY_AIR_GAS_CONSTANT = DRY_AIR_KAPPA * DRY_AIR_HEAT_CAPACITY
"""Specific gas constant of dry air [J kg-1 K-1], from the two above."""

WATER_VAPOR_GAS_CONSTANT = 461.0
"""Specific gas constant of water vapour [J kg-1 K-1], the value of the published models."""

WATER_VAPOR_HEAT_CAPACITY = 1859.0
"""Isobaric heat capacity of water vapour [J kg-1 K-1], the value of the published models."""

SOLAR_CONSTANT = 1361.0
"""Total solar irradiance at one astronomical unit [W m-2] (Kopp and Lean 2011)."""

DRY_ATMOSPHERE_MASS = 5.18e18
"""Mass that serves as the model's unit of mass [kg], the value of the published models."""
