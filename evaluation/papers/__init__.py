"""The claims of the papers, held against measurements; ``docs/results.md`` is written from here."""
