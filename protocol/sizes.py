"""Sizes on the wire, in bytes. Fixed, so that a length never tells anything."""

MAX_MESSAGE_BYTES = 4 * 2**20
"""Of a control message; also the WebSocket's limit."""

SESSION_BYTES = 16
CHALLENGE_BYTES = 32
KEY_BYTES = 32
"""X25519 and Ed25519 keys, self-mask seeds, derived keys."""
SIGNATURE_BYTES = 64
SHARE_BYTES = 32
"""A Shamir share: one element of the field of 2^256 − 189."""
GRAPH_SEED_BYTES = 32
DIGEST_BYTES = 32

NOTE_BYTES = 126
"""Longest note of a strategy; always padded to this, so that its length tells nothing."""
INSTRUCTION_BYTES = 2**16
"""Longest instruction of a coordinator that chooses sub-models: a bit a neuron."""
SEALED_PLAINTEXT_BYTES = 4 + 4 + 2 * SHARE_BYTES + 2 + NOTE_BYTES
"""Sender, recipient, both shares, the note's length and the padded note."""
SEALED_BYTES = SEALED_PLAINTEXT_BYTES + 16
"""With the AEAD's tag."""

CHECKSUM_BYTES = 16
"""At the end of an upload."""
