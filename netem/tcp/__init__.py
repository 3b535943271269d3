"""A model of TCP senders on a bottleneck, as arithmetic: what a kernel's TCP would put on the link
and when. Knows no clock, no socket and no bytes' contents; `now` is passed in."""
