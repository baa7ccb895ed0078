"""The learned column physics of the stochastic NeuralGCM family (Kochkov et al. 2024, appendix C).

A checkpoint's configuration decides the architecture: which features, which towers, which sizes. Every
class here is built from a `Site`, the place that the configuration gives it.
"""
