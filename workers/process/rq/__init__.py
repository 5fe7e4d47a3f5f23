"""Everything that knows the insides of RQ."""
