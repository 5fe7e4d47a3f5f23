"""What the tests of ``evaluation`` share with those of ``models``."""

from tests.models.conftest import _one_thread, synthetic_fashion

__all__ = ["_one_thread", "synthetic_fashion"]
