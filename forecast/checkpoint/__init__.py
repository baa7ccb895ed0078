"""Model checkpoints: published archives read as data, our own format, and the directory that holds them. No JAX."""
