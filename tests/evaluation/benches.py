"""A small bench: an untrained network with a clean set, and few images."""

CLASSES = tuple("abcdefghij")

SMALL = {
    "bundles": {"small": "0" * 64},
    "suites": ("noise",),
    "images": 12,
    "noise": {
        "sigmas": (0.25,),
        "sweep_sigma": 0.25,
        "momenta": (0.0, 1.0),
        "clean_sizes": (8, 1000),
        "draws": 2,
    },
    "attacks": {"epsilons_l2": (0.2, 1.0), "epsilons_linf": (0.02, 0.2), "steps": 3, "ensembles": (1, 2)},
    "corruptions": {
        "names": ("contrast", "gaussian_noise", "elastic_transform"),
        "severities": (1, 5),
        "clean_size": 8,
    },
    "certify": {"sigmas": (0.25,), "n": 300, "n0": 20, "radii": (0.0, 0.25)},
    "levels": {"steps": (0, 2), "n": 100, "sigma": 0.25},
    "gradients": {"images": 2, "sigmas": (0.0, 0.5)},
}
