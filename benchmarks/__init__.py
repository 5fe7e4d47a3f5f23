"""Benchmarks of speed, precision and memory. ``make bench`` prints those of speed."""
