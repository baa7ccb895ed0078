"""Randomness with a memory: fields that drive the spread of the ensemble."""
