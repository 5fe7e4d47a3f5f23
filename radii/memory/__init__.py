"""The memory of certified regions as an operator sees it: read from Redis, and proved again.

Nothing here is shared with the code that writes the memory, so that an error in one is found by the other.
"""
