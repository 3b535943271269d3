"""How many corrupt clients a sample of the fleet may hold: for sums over clients drawn at random.

Whoever draws must do so without regard to who is corrupt, as a semi-honest coordinator does; an
active one plans as it likes, and no tail helps against it.
"""

from math import comb

from protocol.errors import LocalError
from protocol.secagg.tails import SECURITY_BITS


def most_corrupt(clients: int, corrupt: int, sample: int) -> int:
    """The smallest c such that a sample holds more than c corrupt clients with probability at
    most 2^-40; the exact hypergeometric tail, in integers."""
    if not 0 <= corrupt <= clients or not 0 < sample <= clients:
        raise LocalError(f"no sample of {sample} from {clients} clients, {corrupt} of them corrupt")
    honest, most = clients - corrupt, min(corrupt, sample)
    bound = comb(clients, sample) >> SECURITY_BITS
    term = comb(corrupt, most) * comb(honest, sample - most)  # samples with just so many
    tail = 0
    for hits in range(most, 0, -1):
        tail += term
        if tail > bound:
            return hits
        # C(K, h-1) C(H, s-h+1) from C(K, h) C(H, s-h): exact, the quotient is a count again
        term = term * hits * (honest - sample + hits)
        term //= (corrupt - hits + 1) * (sample - hits + 1)
    return 0
