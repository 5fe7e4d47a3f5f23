"""What a request passes first: keys, limits, timeouts, uploads."""
