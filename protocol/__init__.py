"""What both sides of the testbed speak: messages, codec, secure aggregation, telemetry.

Pure: no clock, no socket, no torch. Time, randomness and executors come in as arguments.
"""
