"""Exact noise for images of bytes: votes whose law is known to the last bit.

Floating-point noise keeps the low bits of the image, and a classifier may read them: certificates about it
would be false. Here the noise itself is a whole number of grey levels, drawn by integers alone::

    law       how probable each number of grey levels is, as thresholds of 64-bit numbers
    philox    random bits that can be drawn from any place of a stream, the same on every machine
    draws     the noise of vote number i of a stream, on a CPU
    device    the same bits and noise in PyTorch, for a GPU

Reference:
    Voráček & Hein, "Sound Randomized Smoothing in Floating-Point Arithmetic", ICLR 2023.
"""

from smoothing.lattice.draws import NoiseStream
from smoothing.lattice.law import LatticeLaw, gaussian_law, uniform_law

__all__ = ["LatticeLaw", "NoiseStream", "gaussian_law", "uniform_law"]
