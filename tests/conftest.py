"""How properties are searched in the whole suite.

The same examples in every run, and no limit on an example's wall time, which depends on what else
the machine does. `pytest --hypothesis-profile search` looks further, at random.
"""

from hypothesis import settings

settings.register_profile("suite", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=1000)
settings.load_profile("suite")
