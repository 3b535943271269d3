"""The run folder: what a run recorded, and everything that is made from it afterwards.

Knows spans, events and plain settings; nothing of sockets, devices' profiles or models.
"""
