"""What `verify` does: transfers over a fleet's own links, and what they should have taken."""
