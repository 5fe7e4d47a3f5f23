"""The memory of certified regions: one log per model and namespace in Redis, mirrored by every engine."""
