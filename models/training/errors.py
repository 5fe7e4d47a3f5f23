"""What is wrong with a training run."""


class TrainingError(ValueError):
    """A plan is impossible, or a checkpoint does not belong to it."""
