"""What can go wrong with a forecast. The class says what the caller should do.

ForecastError
├── AnalysisMismatch    the analysis does not fit the model: give one on its grid and levels
├── ForcingNotValid     the prescribed sea surface does not reach that far: give newer forcing or ask for less
├── RestartError        a saved window cannot be used: remove it, the forecast then starts from the analysis
└── QuorumLost          too few members are left: look at the analysis and at the members' reasons
"""


class ForecastError(RuntimeError):
    """A forecast cannot be made."""


class AnalysisMismatch(ForecastError):
    """The analysis lacks something, or is not on the model's grid and levels."""


class ForcingNotValid(ForecastError):
    """The forcing is not valid for a time that the forecast needs."""


class RestartError(ForecastError):
    """A saved window is damaged or belongs to another forecast."""


class QuorumLost(ForecastError):
    """Fewer members than the quorum are left."""
