"""What ``radii evaluate`` does: certify here or over a service's workers, and keep a journal."""
