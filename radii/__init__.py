"""The command line, and `serve`, which starts everything on one machine. Nothing imports this package."""
