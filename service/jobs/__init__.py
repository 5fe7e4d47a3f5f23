"""From a request to a job on the queue, and what becomes of it."""
