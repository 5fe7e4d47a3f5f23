"""``radii doctor``: checks everything that a deployment needs, and advises on each fault."""
