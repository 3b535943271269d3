"""All four kinds of secure sum driven at random: clients answer in any order, are lost at any
point, phases are closed whenever. Either the plain sum of the survivors comes out, to the bit, or
the sum ends in TooFewSurvivors exactly when some secret has too few holders left; and the
coordinator never holds enough shares of both secrets of one client."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from protocol.errors import LocalError, ProtocolError, TooFewSurvivors
from protocol.messages import Unmask
from protocol.secagg.aggregate import Aggregate
from protocol.secagg.guarded_rehearsal import GuardedRehearsal
from protocol.secagg.packing import pack
from tests.protocol.secagg_fleets import IDS, VARIANTS, fleet

WORDS = 5
CLIENTS = st.sampled_from(IDS)


class SecureSum(RuleBasedStateMachine):
    @initialize(variant=st.sampled_from(VARIANTS), seed=st.integers(0, 2**16))
    def begin(self, variant: str, seed: int) -> None:
        self.fleet = fleet(variant, seed)
        self.guarded = isinstance(self.fleet, GuardedRehearsal)
        self.phases = ["keys", "shares", "vector", *(["word"] if self.guarded else []), "unmask"]
        self.part = set(IDS)
        """Who has a part in the phase under way."""
        self.there = set(IDS)
        self.sent: set[int] = set()
        generator = np.random.default_rng(seed)
        self.plain = {c: generator.integers(0, 2**32, WORDS, np.uint32) for c in IDS}
        self.total = Aggregate(WORDS, 32)
        self.shared: set[int] = set()
        self.revealed: dict[tuple[str, int], set[int]] = {}
        """Holders that revealed their share of a secret, by its kind and owner."""

    @rule(client=CLIENTS)
    def answer(self, client: int) -> None:
        """A client's message of the phase; a second one, or one out of place, is refused."""
        if client not in self.there:
            return
        step = getattr(self, f"_{self.phases[0] if self.phases else 'unmask'}")
        if not self.phases or client not in self.part or client in self.sent:
            with pytest.raises((ProtocolError, LocalError)):
                step(client, self.fleet.parties[client])
            return
        step(client, self.fleet.parties[client])
        self.sent.add(client)

    @rule(client=CLIENTS)
    def lose(self, client: int) -> None:
        self.there.discard(client)

    @precondition(lambda self: self.phases)
    @rule(everybody=st.booleans())
    def close(self, everybody: bool) -> None:
        """After whoever is there has answered, or before."""
        if everybody:
            for client in sorted(self.there & self.part - self.sent):
                self.answer(client)
        phase, owners = self.phases[0], self.shared or self.sent
        starved = [owner for owner in owners if len(self._holders(owner) & self.sent) < self._t]
        if starved or len(self.sent) < self._t:
            with pytest.raises(TooFewSurvivors):
                self._close(phase)
            return
        self._close(phase)
        if phase == "shares":
            self.shared = set(self.sent)
        self.part, self.sent = set(self.sent), set()
        self.phases.pop(0)

    @invariant()
    def never_both_secrets_of_one_client(self) -> None:
        for (kind, owner), holders in getattr(self, "revealed", {}).items():
            if kind == "key":
                seeds = self.revealed.get(("seed", owner), set())
                assert not holders & seeds
                assert min(len(holders), len(seeds)) < self._t

    @property
    def _t(self) -> int:
        return self.fleet.server.terms.threshold

    def _holders(self, owner: int) -> set[int]:
        graph = self.fleet.clients[owner].terms.graph
        return set(graph.holders(owner))

    def _keys(self, client: int, party: Any) -> None:  # noqa: ANN401
        self.fleet.front.receive_keys(client, party.advertise())

    def _shares(self, client: int, party: Any) -> None:  # noqa: ANN401
        party.receive_roster(self.fleet.front.roster_for(client))
        self.fleet.server.receive_shares(client, party.share(b""))

    def _vector(self, client: int, party: Any) -> None:  # noqa: ANN401
        party.receive_delivery(self.fleet.server.delivery_for(client))
        words = self.plain[client].copy()
        party.mask(words, 0)
        self.total.add(pack(words, 32))
        self.fleet.server.vector_added(client)

    def _word(self, client: int, party: Any) -> None:  # noqa: ANN401
        assert isinstance(self.fleet, GuardedRehearsal)
        self.fleet.take_word(client, party.sign(self.fleet.server.survivors_for(client)))

    def _unmask(self, client: int, party: Any) -> None:  # noqa: ANN401
        if isinstance(self.fleet, GuardedRehearsal):
            answer: Unmask = party.unmask(self.fleet.guard.signatures_for(client))
        else:
            answer = party.unmask(self.fleet.server.survivors_for(client))
        self.fleet.server.receive_unmask(client, answer)
        self._note("key", client, answer.masking_key_shares)
        self._note("seed", client, answer.self_seed_shares)

    def _note(self, kind: str, holder: int, owners: Iterable[int]) -> None:
        for owner in owners:
            self.revealed.setdefault((kind, owner), set()).add(holder)

    def _close(self, phase: str) -> None:
        server = self.fleet.server
        if phase == "keys":
            self.fleet.front.close_keys()
        elif phase == "shares":
            server.close_shares()
        elif phase == "vector":
            self.survivors = server.close_vectors()
        elif phase == "word":
            assert isinstance(self.fleet, GuardedRehearsal)
            self.fleet.guard.close_consistency()
        else:
            self.total.remove(server.close_unmasking())
            expected = sum((self.plain[c] for c in self.survivors), np.zeros(WORDS, np.uint32))
            assert (self.total.words == expected).all()


SecureSum.TestCase.settings = settings(max_examples=25, stateful_step_count=25)
TestSecureSum = SecureSum.TestCase
