"""Modelled cryptography against the real one: the same messages in form and length, and the sum."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.codec import decode, encode
from protocol.errors import ProtocolError, TooFewSurvivors
from protocol.messages import Message
from protocol.secagg.client import ClientMachine
from protocol.secagg.keys import Sum
from protocol.secagg.modelled import ModelledClient, ModelledServer
from protocol.secagg.server import ServerMachine
from protocol.secagg.terms import Terms

SUM = Sum(b"session-16-bytes", 3, 1)
CLIENTS = (2, 3, 5, 7)


def played(client: type[ClientMachine], server: type[ServerMachine], lost: int) -> list[Message]:
    """All messages of a sum in which the first `lost` clients send no vector."""
    terms = Terms.complete(SUM, CLIENTS, 2)
    said: list[Message] = []

    def hear(message: Message) -> Message:
        said.append(message)
        return decode(encode(message))

    drawn = iter(range(1, 1000))
    front = server(terms)
    parties = {
        c: client(c, terms, lambda size: next(drawn).to_bytes(2).ljust(size, b"r")) for c in CLIENTS
    }
    for c, party in parties.items():
        front.receive_keys(c, hear(party.advertise()))  # type: ignore[arg-type]
    front.close_keys()
    for c, party in parties.items():
        party.receive_roster(hear(front.roster_for(c)))  # type: ignore[arg-type]
        front.receive_shares(c, hear(party.share(b"note of %d" % c)))  # type: ignore[arg-type]
    front.close_shares()
    words = np.arange(10, dtype="<u4")
    for c, party in parties.items():
        notes = party.receive_delivery(hear(front.delivery_for(c)))  # type: ignore[arg-type]
        assert notes == {peer: b"note of %d" % peer for peer in CLIENTS if peer != c}
        party.mask(words.copy(), 0)
    for c in CLIENTS[lost:]:
        front.vector_added(c)
    front.close_vectors()
    for c in CLIENTS[lost:]:
        front.receive_unmask(c, hear(parties[c].unmask(hear(front.survivors_for(c)))))  # type: ignore[arg-type]
    front.close_unmasking()
    return said


@given(st.integers(0, 2))
def test_messages_are_of_the_same_kind_and_length(lost: int) -> None:
    real = played(ClientMachine, ServerMachine, lost)
    modelled = played(ModelledClient, ModelledServer, lost)
    assert [type(message) for message in modelled] == [type(message) for message in real]
    assert [len(encode(message)) for message in modelled] == [len(encode(m)) for m in real]


def test_nothing_is_masked_and_nothing_removed() -> None:
    terms = Terms.complete(SUM, CLIENTS, 2)
    assert ModelledServer(terms).masks_of([2, 3]) == ()
    party = ModelledClient(2, terms, bytes)
    with pytest.raises(Exception, match="not due"):
        party.mask(np.zeros(3, "<u4"), 0)


def test_its_costs_are_those_of_the_real_one() -> None:
    tallies = []
    for kind in (ClientMachine, ModelledClient):
        party = kind(2, Terms.complete(SUM, CLIENTS, 2), lambda size: b"r" * size)
        party.advertise()
        tallies.append(party.tally)
    assert tallies[0] == tallies[1] != {}


def test_too_few_are_too_few_and_garbage_is_garbage() -> None:
    with pytest.raises(TooFewSurvivors):
        played(ModelledClient, ModelledServer, 3)
    party = ModelledClient(2, Terms.complete(SUM, CLIENTS, 2), bytes)
    with pytest.raises(ProtocolError, match="wrong length"):
        party._open(3, b"short")
