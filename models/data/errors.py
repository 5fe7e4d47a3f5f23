"""What is wrong with a data set."""


class DatasetError(ValueError):
    """A data set's files are missing, damaged, or not what they should be."""
