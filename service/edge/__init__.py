"""What every request passes before its route: keys, limits, headers, the request log; and uploads."""
