"""What the engine does with one job."""
