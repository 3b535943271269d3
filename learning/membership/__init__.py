"""Membership inference: how well a model tells its training examples from others.

- `figures`: what scores amount to, with intervals (no torch)
- `signals`: what an attacker who has the model measures of each example
- `classifier`: white-box attack on such signals, cross-fitted (no torch)

Pure functions of models, examples and scores. Nothing here knows where a model came from, who held
which examples, or what an attacker may see: that is for whoever puts an attack together.
"""
