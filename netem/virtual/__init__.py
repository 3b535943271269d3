"""The virtual clock: an event loop that jumps to the next timer, and connections in its memory.

The same coroutines run on it as in wall time. Knows nothing of links, devices or learning.
"""
