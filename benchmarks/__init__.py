"""Benchmarks of the library: what is measured, and other programs that solve the same problems."""
