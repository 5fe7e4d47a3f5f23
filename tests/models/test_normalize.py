"""Normalisation as the first layer."""

import torch
from torch import nn

from models.normalize import Normalize, NormalizedClassifier


def test_standardises_each_channel() -> None:
    """(x − mean) / std, channel by channel."""
    layer = Normalize((0.5, 0.25), (0.5, 0.25))
    images = torch.tensor([1.0, 0.5]).reshape(1, 2, 1, 1)
    assert layer(images).flatten().tolist() == [1.0, 1.0]


def test_constants_are_not_weights() -> None:
    """The card holds mean and std, so the state dict does not."""
    classifier = NormalizedClassifier(Normalize((0.5,), (0.5,)), nn.Flatten())
    assert not classifier.state_dict()
