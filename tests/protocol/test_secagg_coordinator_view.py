"""What the coordinator sees, and what it can make of it.

One round of five clients with threshold 3, one lost before its shares and one after them, every
byte that the server machine and the aggregate were handed recorded. The tests show, in this order,

1. exactly what was handed over, and that no secret is in it that should not be;
2. that the secrets with enough shares in it are the survivors' self-mask seeds and the masking
   keys of clients lost after sharing, and no other: none at all has a share that is not enough;
3. that what all these keys can take off a survivor's upload leaves its pairwise masks with the
   other survivors, and that no combination of them yields any plain vector;
4. that if those remaining masks were uniformly random, any other updates with the same sum would
   explain the same bytes: masks that do so are constructed.

4 is the argument of Bonawitz et al. (Lemma 6.1) on real bytes. That masks may stand for uniformly
random ones rests on X25519, HKDF-SHA256 and AES-256, which no test shows. Nothing here is about a
coordinator that departs from the protocol, about fewer than two survivors, or about times.
"""

from itertools import product

import numpy as np
import pytest

from protocol.messages import PublicKeys, SealedShares, Unmask
from protocol.secagg.keys import KeyPair, Sum, self_mask_key
from protocol.secagg.masks import Mask, Masks
from protocol.secagg.packing import unpack
from protocol.secagg.pairing import pairwise_mask
from protocol.secagg.rehearsal import Lost, Rehearsal
from protocol.secagg.ring import Words
from protocol.secagg.shares import Recovery
from protocol.secagg.terms import Terms

IDS = (1, 2, 3, 4, 5)
SURVIVORS = (2, 3, 4)
EARLY, LATE = 1, 5
SUM = Sum(b"session-16-bytes", 1, 1)
WORDS = 6
THRESHOLD = 3


class Source:
    def __init__(self, client: int) -> None:
        self._state = np.random.default_rng(client)

    def __call__(self, size: int) -> bytes:
        return self._state.bytes(size)


class View:
    """The round, and of it what only the clients know (for the tests to compare with)."""

    def __init__(self) -> None:
        generator = np.random.default_rng(8)
        self.plain = {c: generator.integers(0, 2**32, WORDS, np.uint32) for c in IDS}
        masked = {c: words.copy() for c, words in self.plain.items()}
        self.fleet = Rehearsal(
            Terms.complete(SUM, IDS, THRESHOLD), Source, {EARLY: Lost.SHARES, LATE: Lost.VECTOR}
        )
        self.total = self.fleet.run(masked, 32).copy()
        self.heard = self.fleet.heard

    def all_of(self, kind: type) -> dict[int, object]:
        return {client: item for client, item in self.heard if isinstance(item, kind)}

    def uploads(self) -> dict[int, Words]:
        return {c: unpack(i, 32) for c, i in self.heard if isinstance(i, bytes)}

    def revealed(self) -> tuple[dict[int, dict[int, bytes]], dict[int, dict[int, bytes]]]:
        """(masking key shares, self seed shares): owner -> share's index -> share."""
        keys: dict[int, dict[int, bytes]] = {}
        seeds: dict[int, dict[int, bytes]] = {}
        for client, item in self.heard:
            if isinstance(item, Unmask):
                index = self.fleet.server.terms.position(client)
                for owner, share in item.masking_key_shares.items():
                    keys.setdefault(owner, {})[index] = share
                for owner, share in item.self_seed_shares.items():
                    seeds.setdefault(owner, {})[index] = share
        return keys, seeds

    def known_masks(self) -> list[Mask]:
        """Every mask that can be expanded from what was handed over."""
        keys, seeds = self.revealed()
        publics = {c: m.masking for c, m in self.all_of(PublicKeys).items()}  # type: ignore[attr-defined]
        recovery = Recovery()
        masks = [
            Mask(self_mask_key(SUM, recovery.recover(shares, THRESHOLD), owner), 1)
            for owner, shares in seeds.items()
        ]
        for owner, shares in keys.items():
            pair = KeyPair.from_secret(recovery.recover(shares, THRESHOLD))
            others = [c for c in publics if c != owner]
            masks += [pairwise_mask(pair, (owner, c), publics[c], SUM) for c in others]
        return masks


@pytest.fixture(scope="module")
def view() -> View:
    return View()


def expand(mask: Mask) -> Words:
    words = np.zeros(WORDS, "<u4")
    Masks([Mask(mask.key, 1)]).apply(words, 0)
    return words


def test_exactly_what_is_handed_over(view: View) -> None:
    """By client and kind: public keys, ciphertexts, one masked vector, shares. Nothing else."""
    story = [(client, type(item).__name__) for client, item in view.heard]
    assert story == [
        *((client, "PublicKeys") for client in IDS),
        *((client, "SealedShares") for client in (2, 3, 4, 5)),
        *((client, "bytes") for client in SURVIVORS),
        *((client, "Unmask") for client in SURVIVORS),
    ]
    for client, item in view.all_of(SealedShares).items():
        assert isinstance(item, SealedShares)
        assert sorted(item.sealed) == [c for c in IDS if c != client]


def test_the_sum_is_right_and_no_update_is_in_the_clear(view: View) -> None:
    expected = sum((view.plain[c] for c in SURVIVORS), np.zeros(WORDS, np.uint32))
    assert (view.total == expected).all()
    for client, upload in view.uploads().items():
        assert (upload != view.plain[client]).all()


def test_no_secret_is_among_the_bytes(view: View) -> None:
    """Neither a private key, nor a seed, nor a share that was not asked for."""
    handed = b"".join(_bytes_of(item) for _, item in view.heard)
    keys, seeds = view.revealed()
    asked_for = {
        share for of in (keys, seeds) for shares in of.values() for share in shares.values()
    }
    for machine in view.fleet.clients.values():
        own = machine._own
        assert own is not None
        secrets = {own.sealing.secret, own.masking.secret, machine._self_seed}
        for parcel in machine._parcels.values():
            secrets |= {parcel.masking_key_share, parcel.self_seed_share} - asked_for
        for secret in secrets - {b""}:
            assert secret not in handed


def test_the_secrets_that_can_be_recovered(view: View) -> None:
    keys, seeds = view.revealed()
    assert {owner: sorted(shares) for owner, shares in keys.items()} == {LATE: [2, 3, 4]}
    assert {owner: sorted(shares) for owner, shares in seeds.items()} == {
        owner: [2, 3, 4] for owner in SURVIVORS
    }
    recovery = Recovery()
    late = view.fleet.clients[LATE]._own
    assert late is not None
    assert recovery.recover(keys[LATE], THRESHOLD) == late.masking.secret
    for owner in SURVIVORS:
        assert recovery.recover(seeds[owner], THRESHOLD) == view.fleet.clients[owner]._self_seed


def test_no_combination_of_known_masks_opens_an_upload(view: View) -> None:
    """Each known mask added, subtracted or left out: 3^7 results per upload, none of them any
    client's vector, in not one coordinate more often than chance gives."""
    masks = np.stack([expand(mask) for mask in view.known_masks()])
    assert len(masks) == len(SURVIVORS) + len(IDS) - 1
    signs = np.array(list(product((0, 1, 2**32 - 1), repeat=len(masks))), np.uint32)
    offsets = signs @ masks  # all combinations, modulo 2^32
    plain = np.stack(list(view.plain.values()))
    for upload in view.uploads().values():
        results = (upload + offsets)[:, None, :]
        assert not (results == plain).all(axis=2).any()
        assert np.count_nonzero(results == plain) <= 1  # expected: 2187·30 / 2^32


def test_what_is_left_is_the_masks_between_survivors(view: View) -> None:
    """Upload − own mask − masks with the lost = update + masks with survivors, to the bit; the key
    of each of those needs one of two private keys of which no share was handed over."""
    keys, _ = view.revealed()
    residues = _residues(view)
    for client in SURVIVORS:
        pads = [
            view.fleet.clients[client]._pairings[other].mask
            for other in SURVIVORS
            if other != client
        ]
        left = view.plain[client].copy()
        Masks(pads).apply(left, 0)
        assert (residues[client] == left).all()
        assert client not in keys
        known = {mask.key for mask in view.known_masks()}
        assert known.isdisjoint(pad.key for pad in pads)


def test_other_updates_with_the_same_sum_explain_the_same_bytes(view: View) -> None:
    """For updates drawn at random under the one condition that their sum is the same, masks
    between survivors are constructed that make the same three uploads. Two of the three masks
    suffice, and the third may be anything: no update is singled out."""
    residues = _residues(view)
    generator = np.random.default_rng(1)
    for _ in range(20):
        second, third = (generator.integers(0, 2**32, WORDS, np.uint32) for _ in range(2))
        claimed = {2: view.total - second - third, 3: second, 4: third}
        free = generator.integers(0, 2**32, WORDS, np.uint32)  # the mask of 2 with 3
        with_four = residues[2] - claimed[2] - free  # the mask of 2 with 4
        three_four = residues[3] - claimed[3] + free  # the mask of 3 with 4
        assert (claimed[2] + free + with_four == residues[2]).all()
        assert (claimed[3] - free + three_four == residues[3]).all()
        # The last equation has no unknown left: it holds because the sums agree.
        assert (claimed[4] - with_four - three_four == residues[4]).all()
    wrong = {2: view.plain[2] + np.uint32(1), 3: view.plain[3], 4: view.plain[4]}
    pads = residues[2] - wrong[2], residues[3] - wrong[3]
    assert (wrong[4] - pads[0] - pads[1] != residues[4]).all()  # another sum does not fit


def _residues(view: View) -> dict[int, Words]:
    """Each upload without every mask that the coordinator can compute for it."""
    keys, seeds = view.revealed()
    recovery = Recovery()
    publics = {c: m.masking for c, m in view.all_of(PublicKeys).items()}  # type: ignore[attr-defined]
    late = KeyPair.from_secret(recovery.recover(keys[LATE], THRESHOLD))
    residues = {}
    for client, upload in view.uploads().items():
        words = upload.copy()
        own = Mask(self_mask_key(SUM, recovery.recover(seeds[client], THRESHOLD), client), -1)
        # As the lost client would have applied it, which cancels what the survivor applied.
        Masks([own, pairwise_mask(late, (LATE, client), publics[client], SUM)]).apply(words, 0)
        residues[client] = words
    return residues


def _bytes_of(item: object) -> bytes:
    match item:
        case bytes():
            return item
        case PublicKeys():
            return item.sealing + item.masking
        case SealedShares():
            return b"".join(item.sealed.values())
        case Unmask():
            shares = (*item.masking_key_shares.values(), *item.self_seed_shares.values())
            return b"".join(shares)
    raise TypeError(type(item).__name__)
