"""The processes of a worker: supervisor, queue worker, relay, engine."""
