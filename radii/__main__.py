"""``python -m radii`` is the command ``radii``."""

from radii.main import app

app(prog_name="radii")
