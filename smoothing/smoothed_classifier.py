"""A base classifier with its noise, as one object: the smoothed classifier g."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypedDict, Unpack

from torch import Tensor, nn

from smoothing.adaptation import NotAdaptable, estimate_statistics, with_statistics
from smoothing.certification import Certification
from smoothing.certify import certify
from smoothing.noises.base import Noise, require_noise
from smoothing.observer import Observer
from smoothing.predict import Prediction, predict
from smoothing.randomness import draw_seed, generator_for
from smoothing.sampling import BaseClassifier, require_classifier
from smoothing.stopping import Stop
from smoothing.votes import Votes


class Rare(TypedDict, total=False):
    """The arguments of ``certify`` that most calls leave at their defaults; see there."""

    bound: str
    stop: Stop | tuple[Stop, ...] | None
    batch_size: int
    seed: int | None
    resume: Votes | None
    observer: Observer | None


class SmoothedClassifier:
    """g(x) = the class that f most probably answers for x + noise.

    Args:
        base_classifier: f, ``(b, c, h, w)`` in pixel units [0, 1] to logits ``(b, k)``, in evaluation mode,
            each row about its own image alone (see ``check_batch_invariance``).
        noise: Such as ``Gaussian(0.5)`` for ℓ2 radii, or ``Uniform(0.5)`` for ℓ1.

    Reference:
        Cohen, Rosenfeld & Kolter, "Certified Adversarial Robustness via Randomized Smoothing", ICML 2019.

    >>> import torch
    >>> from smoothing import Gaussian
    >>> g = SmoothedClassifier(lambda images: images.flatten(1), Gaussian(0.25))  # the brightest pixel
    >>> found = g.certify(torch.tensor([[[0.9, 0.1, 0.1]]]), n=10_000, seed=1)
    >>> found.top_class, round(found.radius.l2, 2)
    (0, 0.49)
    """

    def __init__(self, base_classifier: BaseClassifier, noise: Noise) -> None:
        require_classifier(base_classifier)
        require_noise(noise)
        self.base_classifier = base_classifier
        self.noise = noise

    def __repr__(self) -> str:
        return f"SmoothedClassifier({type(self.base_classifier).__name__}, {self.noise})"

    def certify(
        self, image: Tensor, n0: int = 100, n: int = 100_000, alpha: float = 0.001, **rare: Unpack[Rare]
    ) -> Certification:
        """Return a class and radii within which g has it, or an abstention; wrong at most at ``alpha``.

        Args:
            image: ``(c, h, w)``, float32 or float64, in [0, 1], on the device of f.
            n0: Selection votes.
            n: Estimation votes, at most.
            alpha: Failure probability.
            **rare: ``bound``, ``stop``, ``batch_size``, ``seed``, ``resume``, ``observer``, see ``certify``.

        Raises:
            SmoothingError: As ``certify`` does.
        """
        return certify(
            self.base_classifier, image, self.noise, n0=n0, n=n, alpha=alpha, **self._defaults(rare)
        )

    def predict(
        self,
        image: Tensor,
        n: int = 1000,
        alpha: float = 0.001,
        *,
        batch_size: int | None = None,
        seed: int | None = None,
    ) -> Prediction:
        """Return the class of g, or an abstention; wrong with probability at most ``alpha``.

        Args:
            image: ``(c, h, w)``, float32 or float64, in [0, 1], on the device of f.
            n: Votes.
            alpha: Failure probability.
            batch_size: Most images in one call of f.
            seed: 128 bits. Default: drawn.
        """
        size = self._batch_size if batch_size is None else batch_size
        return predict(self.base_classifier, image, self.noise, n=n, alpha=alpha, batch_size=size, seed=seed)

    def certify_all(
        self,
        images: Iterable[Tensor],
        n0: int = 100,
        n: int = 100_000,
        alpha: float = 0.001,
        *,
        bound: str = "two_sided",
        stop: Stop | tuple[Stop, ...] | None = None,
        batch_size: int | None = None,
        progress: Callable[[Iterable[Tensor]], Iterable[Tensor]] | None = None,
    ) -> Iterator[Certification]:
        """Yield the certificate of one image after the other, each with a fresh seed and its own ``alpha``.

        Args:
            images: Images ``(c, h, w)``, or a batch ``(m, c, h, w)``.
            n0: Selection votes of each.
            n: Estimation votes of each, at most.
            alpha: Failure probability of each.
            bound: A name in ``BOUNDS``.
            stop: As ``certify`` has; a ``Deadline`` is that of each image.
            batch_size: Most noisy copies in one call of f.
            progress: Shows how many images are done, such as ``tqdm.tqdm`` or ``rich.progress.track``.
        """
        size = self._batch_size if batch_size is None else batch_size
        for image in images if progress is None else progress(images):
            yield self.certify(image, n0, n, alpha, bound=bound, stop=stop, batch_size=size)

    def adapted(
        self, clean: Tensor, momentum: float = 1.0, *, seed: int | None = None
    ) -> "SmoothedClassifier":
        """Return g over a frozen copy of f with batch-norm statistics of clean images under this noise.

        Args:
            clean: ``(m, c, h, w)``, m >= 2, in [0, 1]: diverse images, never the query. The paper takes 512.
            momentum: Weight of the new statistics against the trained ones, in (0, 1].
            seed: Of the noise on the clean images: 128 bits. Default: drawn.

        Raises:
            NotAdaptable: f is no PyTorch module, or has no batch-norm layers with running statistics.

        Reference:
            Nandy et al., "Certification through Adaptation", Algorithm 1, arXiv:2102.05096.
        """
        module = self.base_classifier
        if not isinstance(module, nn.Module):
            raise NotAdaptable(f"'base_classifier' must be a torch.nn.Module, got {type(module).__name__}")
        generator = generator_for(draw_seed() if seed is None else seed, "adaptation")
        statistics = estimate_statistics(module, clean, self.noise, momentum=momentum, generator=generator)
        return SmoothedClassifier(with_statistics(module, statistics), self.noise)

    @property
    def _batch_size(self) -> int:
        """The size that f was found to be fastest at (``models.backends.prepare``), else 1000."""
        size = getattr(self.base_classifier, "batch_size", None)
        return size if isinstance(size, int) and size >= 1 else 1000

    def _defaults(self, rare: Rare) -> Rare:
        return {"batch_size": self._batch_size, **rare}
