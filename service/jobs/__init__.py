"""From a request to a job on the queue; a job's state, events and cancellation."""
