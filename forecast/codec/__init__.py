"""From an analysis on pressure levels to the model's state on sigma levels, and back."""
