"""The report of an evaluation: CSV, JSON, and one HTML page with charts."""
