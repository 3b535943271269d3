"""What secure aggregation costs on this machine: `python -m benchmarks.secagg [--quick]`.

Tables: mask expansion beside memory copying, fixed point and packing, Shamir, and one client's and
the coordinator's work by phase. Wall times; one thread unless a column says otherwise; the best of
a few repetitions, because other load can only add. No network, no training, nothing emulated.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM
from rich.console import Console
from rich.table import Table

from protocol.codec import encode
from protocol.secagg.aggregate import Aggregate
from protocol.secagg.graph import CompleteGraph
from protocol.secagg.keys import Sum
from protocol.secagg.masks import Keystream, Mask, Masks, by_segment, faster_keystream
from protocol.secagg.packing import pack, packed_size, unpack
from protocol.secagg.prepared import PreparedMask
from protocol.secagg.regular_graph import RegularGraph, choose_degree
from protocol.secagg.rehearsal import Rehearsal
from protocol.secagg.ring import RING_BITS, FixedPoint, Words
from protocol.secagg.shares import Recovery, split
from protocol.secagg.terms import Terms
from protocol.secagg.threshold import default_threshold

P = ParamSpec("P")
T = TypeVar("T")

SUM = Sum(bytes(16), 1, 1)
CONSOLE = Console(width=130)
CHUNK_WORDS = 65_536


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Cost of secure aggregation on this machine.")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, at most a minute")
    quick = parser.parse_args(arguments).quick
    CONSOLE.print(f"{_processor()}, {os.cpu_count()} cores, numpy {np.__version__}")
    repeat = 3 if quick else 7
    masks(repeat)
    masks_ahead((1_000_000,) if quick else (1_000_000, 4_000_000), repeat)
    fixed_point(repeat)
    shamir((20, 100) if quick else (20, 100, 1000))
    fleets = (10, 20) if quick else (10, 20, 50, 100)
    sizes = (100_000, 1_000_000) if quick else (100_000, 1_000_000, 4_000_000, 10_000_000)
    for lost in (0.0, 0.1) if quick else (0.0, 0.05, 0.1, 0.3):
        phases(fleets, sizes, lost)
        few_neighbours((20, 100) if quick else (20, 50, 100, 1000), lost)


def masks(repeat: int) -> None:
    """20 masks over 4 M words of 32 bits: what a client does in a round of 20."""
    words, wide = np.zeros(4_000_000, "<u4"), np.zeros(2_000_000, "<u8")
    some = [Mask(os.urandom(32), 1) for _ in range(20)]
    table = _table("Masks over 4 M words of 32 bits", "what", "GB/s", "ms over the vector")

    def row(what: str, taken_s: float, vectors: int) -> None:
        gigabytes = vectors * words.nbytes / 1e9
        table.add_row(what, f"{gigabytes / taken_s:.1f}", f"{taken_s / vectors * 1e3:.2f}")

    row("memory copy", best(repeat, np.copyto, words.copy(), words), 1)
    for keystream in Keystream:
        taken_s = best(repeat, Masks(some, keystream).apply, words, 0)
        row(f"expand and add, {keystream}", taken_s, len(some))
    row("expand and add, gcm, 64-bit words", best(repeat, Masks(some).apply, wide, 0), len(some))
    with ThreadPoolExecutor(2) as executor:
        taken_s = best(repeat, lambda: list(executor.map(lambda j: j(), by_segment(some, words))))
        row("expand and add, gcm, two threads", taken_s, len(some))
    row("the machine's limit: keystream, then add", best(repeat, _limit, words), 1)
    CONSOLE.print(table)
    CONSOLE.print(f"faster keystream here: {faster_keystream(time.perf_counter)}")


def _limit(words: Words) -> None:
    """One mask with nothing around it: the cipher into a scratch buffer, and that added, in pieces
    of the cache's size."""
    cipher = Cipher(AES(bytes(32)), GCM(bytes(12))).encryptor()
    scratch = np.empty(CHUNK_WORDS, "<u4")
    zeros, raw = memoryview(bytes(scratch.nbytes)), scratch.view(np.uint8).data
    for start in range(0, words.size - CHUNK_WORDS, CHUNK_WORDS):
        cipher.update_into(zeros, raw)
        chunk = words[start : start + CHUNK_WORDS]
        np.add(chunk, scratch, out=chunk)


def masks_ahead(sizes: Iterable[int], repeat: int) -> None:
    """What is left of masking between training and upload if the masks are there already."""
    table = _table(
        "Masks expanded ahead, 20 clients, complete graph, 32-bit ring",
        *(
            "parameters",
            "masked then ms",
            "expanded ahead ms",
            "added then ms",
            "MB held meanwhile",
        ),
    )
    for size in sizes:
        taken = [_ahead(size) for _ in range(repeat)]
        milliseconds = (f"{min(seconds) * 1e3:.1f}" for seconds in zip(*taken, strict=True))
        table.add_row(f"{size / 1e6:g} M", *milliseconds, f"{4 * size / 1e6:g}")
    CONSOLE.print(table)


def _ahead(size: int) -> tuple[float, float, float]:
    """Seconds to mask a vector of one client, and to do it in two steps for another."""
    terms = Terms(SUM, CompleteGraph(range(20)), default_threshold(20))
    fleet = Rehearsal(terms, lambda client: os.urandom)
    fleet.keys()
    fleet.shares()
    for client in (0, 1):
        fleet.clients[client].receive_delivery(fleet.server.delivery_for(client))
    words = np.ones(size, "<u4")
    mask_s = timed(fleet.clients[0].mask, words, 0)[1]
    prepared = PreparedMask(fleet.clients[1], size, 32)
    expand_s = timed(prepared.expand)[1]
    return mask_s, expand_s, timed(prepared.add_to, words)[1]


def fixed_point(repeat: int) -> None:
    """Floats to words, to bytes, and back to words."""
    values = np.random.default_rng(0).normal(0, 0.1, 1_000_000).astype(np.float32)
    table = _table(
        "Fixed point, 1 M coordinates, 20 clients",
        *("ring bits", "largest weight", "steps to clip", "quantise ms", "pack ms", "unpack ms"),
        "bytes a coordinate",
    )
    for bits in RING_BITS:
        ring = FixedPoint(1.0, bits, max_weight=1 if bits == 16 else 100, max_clients=20)
        words = np.empty(values.size, ring.word)
        packed = memoryview(bytes(pack(words, bits)))
        taken = (
            best(repeat, ring.quantise, values, ring.max_weight, words),
            best(repeat, _pack_all, words, bits),
            best(repeat, _unpack_all, packed, bits),
        )
        milliseconds = (f"{seconds * 1e3:.2f}" for seconds in taken)
        settings = (str(bits), str(ring.max_weight), f"{ring.levels:,}")
        table.add_row(*settings, *milliseconds, str(len(packed) / values.size))
    CONSOLE.print(table)


def shamir(fleets: Iterable[int]) -> None:
    """What a client does for its two secrets, and the coordinator for one secret of everyone."""
    table = _table("Shamir", "n", "t", "split two secrets ms", "combine n secrets ms")
    for clients in fleets:
        threshold, secret = default_threshold(clients), bytes(31) + b"\x01"
        shares, split_s = timed(split, secret, threshold, range(1, clients + 1), os.urandom)
        combine_s = best(2, _combine_all, shares, threshold, clients)
        milliseconds = (f"{seconds * 1e3:.1f}" for seconds in (2 * split_s, combine_s))
        table.add_row(str(clients), str(threshold), *milliseconds)
    CONSOLE.print(table)


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of one round: a client's four parts, then the coordinator's four."""

    client: tuple[float, float, float, float]
    server: tuple[float, float, float, float]
    control_bytes_up: int

    def row(self, size: int) -> list[str]:
        milliseconds = [f"{seconds * 1e3:.1f}" for seconds in (*self.client, *self.server)]
        kilobytes = (self.control_bytes_up / 1e3, packed_size(size, 32) / 1e3)
        return [*milliseconds, *(f"{value:,.1f}" for value in kilobytes)]


def phases(fleets: Iterable[int], sizes: Iterable[int], lost: float) -> None:
    """The complete graph, with the default threshold of two thirds."""
    table = _phase_table(f"A round, complete graph, {lost:.0%} lost before upload (ms)")
    for clients in fleets:
        graph, threshold = CompleteGraph(range(clients)), default_threshold(clients)
        for size in sizes:
            costs = one_round(Terms(SUM, graph, threshold), size, int(lost * clients))
            table.add_row(f"{clients}, {threshold}", f"{size / 1e6:g} M", *costs.row(size))
    CONSOLE.print(table)


def few_neighbours(fleets: Iterable[int], lost: float) -> None:
    """SecAgg+ for 10 % corrupt and 10 % lost, or as many as really are. Vectors of 0.1 M."""
    table = _phase_table(f"A round, secagg+, {lost:.0%} lost before upload (ms)")
    for clients in fleets:
        degree, threshold = choose_degree(clients, 0.1, max(lost, 0.1))
        graph = RegularGraph.drawn(range(clients), degree, bytes(32), SUM)
        costs = one_round(Terms(SUM, graph, threshold), 100_000, int(lost * clients))
        table.add_row(f"{clients}, {threshold} of {degree}", "0.1 M", *costs.row(100_000))
    CONSOLE.print(table)


def one_round(terms: Terms, size: int, lost: int) -> Costs:
    """All control messages are really made; the big vector is one client's, added n times."""
    ids = terms.graph.clients
    fleet = Rehearsal(terms, lambda client: os.urandom)
    machines, server = fleet.clients, fleet.server
    forward_s, client_s, control = 0.0, [0.0] * 3, 0
    for client in ids:
        keys, taken_s = timed(machines[client].advertise)
        client_s[0] += taken_s / len(ids)
        forward_s += timed(server.receive_keys, client, keys)[1]
        control = len(encode(keys))
    server.close_keys()
    for client in ids:
        roster, forwarding_s = timed(server.roster_for, client)
        _, meeting_s = timed(machines[client].receive_roster, roster)
        shares, sharing_s = timed(machines[client].share, b"a note")
        client_s[1] += (meeting_s + sharing_s) / len(ids)
        forward_s += forwarding_s + timed(server.receive_shares, client, shares)[1]
    control += len(encode(shares))
    server.close_shares()
    for client in ids:
        delivery, forwarding_s = timed(server.delivery_for, client)
        _, taken_s = timed(machines[client].receive_delivery, delivery)
        client_s[2] += taken_s / len(ids)
        forward_s += forwarding_s
    words = np.zeros(size, "<u4")
    mask_s = timed(machines[ids[-1]].mask, words, 0)[1]
    for client in ids[:-1]:
        machines[client].mask(words[:1], 0)
    server_s, answer_bytes = _unmasking(fleet, ids[lost:], words)
    first, second, third = client_s
    return Costs((first, second, third, mask_s), (forward_s, *server_s), control + answer_bytes)


def _unmasking(
    fleet: Rehearsal, survivors: Sequence[int], words: Words
) -> tuple[tuple[float, float, float], int]:
    """Seconds to add all vectors, to recover the masks and to remove them; bytes of one answer."""
    server, total = fleet.server, Aggregate(words.size, 32)
    packed = pack(words, 32)
    add_s = best(3, total.add, packed) * len(survivors)
    for client in survivors:
        server.vector_added(client)
    server.close_vectors()
    recover_s = 0.0
    for client in survivors:
        answer = fleet.clients[client].unmask(server.survivors_for(client))
        recover_s += timed(server.receive_unmask, client, answer)[1]
    left, closing_s = timed(server.close_unmasking)
    with ThreadPoolExecutor(os.cpu_count()) as executor:
        remove_s = timed(total.remove, left, Keystream.GCM, executor)[1]
    return (add_s, recover_s + closing_s, remove_s), len(encode(answer))


def _pack_all(words: Words, bits: int) -> None:
    for start in range(0, words.size, CHUNK_WORDS):
        pack(words[start : start + CHUNK_WORDS], bits)


def _unpack_all(packed: memoryview, bits: int) -> None:
    chunk = packed_size(CHUNK_WORDS, bits)
    for start in range(0, len(packed), chunk):
        unpack(packed[start : start + chunk], bits)


def _combine_all(shares: dict[int, bytes], threshold: int, secrets: int) -> None:
    recovery = Recovery()
    for _ in range(secrets):
        recovery.recover(shares, threshold)


def timed(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> tuple[T, float]:
    start_s = time.perf_counter()
    result = function(*args, **kwargs)
    return result, time.perf_counter() - start_s


def best(repeat: int, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> float:
    return min(timed(function, *args, **kwargs)[1] for _ in range(repeat))


def _phase_table(title: str) -> Table:
    return _table(
        f"{title}, 32-bit ring",
        *("n, t", "parameters", "client: keys", "agree, share", "open", "mask"),
        *("server: forward", "add n vectors", "recover", "remove masks"),
        *("kB up: control", "vector"),
    )


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right")
    return table


def _processor() -> str:
    """The processor's name where the system tells it."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, "unknown processor")


if __name__ == "__main__":
    main()
