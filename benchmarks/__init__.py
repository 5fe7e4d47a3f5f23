"""Benchmarks of speed and of certified radii. ``make bench`` prints them."""
