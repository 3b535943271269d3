"""A worker plays one client: joins, trains, masks, uploads.

It does not know whether its link and its processor are emulated: both come in as arguments.
"""
