"""The coordinator: admits workers, runs rounds, sums masked vectors it cannot read.

It knows neither torch nor emulation: the model enters as an injected object, time as the loop's.
"""
