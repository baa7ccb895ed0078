"""Kernels in C++ for CPUs, compiled where the program runs; without a compiler everything works without them."""
