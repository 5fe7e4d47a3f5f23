"""Base classifiers: architectures, bundles, data, and the backends that execute them."""
