"""A verification as JSON."""

from dataclasses import asdict

from commands.verification.figure import Pair
from commands.verification.judgement import Verification
from commands.verification.losses import LossResult
from commands.verification.measuring import LinkResult
from commands.verification.replays import ReplayResult
from commands.verification.shares import ShareResult
from protocol.telemetry import Json
from runs.records import plain

SCHEMA = 3


def as_json(found: Verification) -> dict[str, Json]:
    broken = found.broken()
    return {
        "schema": SCHEMA,
        "profile": found.profile,
        "net": found.net,
        "clients": found.clients,
        "host": plain(asdict(found.host)),
        "links": [_link_json(link) for link in found.links],
        "kernel": [_link_json(link) for link in found.kernel],
        "losses": [_loss_json(loss) for loss in found.losses],
        "traces": [_replay_json(replay) for replay in found.replays],
        "shared": [_share_json(share) for share in found.shares],
        "round": _round_json(found),
        "carries": {
            "in_rounds": found.round.carried_in_rounds(),
            "at_full_rate": {
                "now": found.round.carried_at_full_rate(found.host.busy_share),
                "with_the_host_to_itself": found.round.carried_at_full_rate(0.0),
            },
        },
        "within": not broken,
        "broken": plain(broken),
        "repeated": found.repeated,
        "unchecked": list(found.unchecked),
    }


def _round_json(found: Verification) -> Json:
    one, late = found.round, found.round.measured
    return {
        "bytes": one.bytes_each,
        "round": _pair_json(one.last),
        "transfers_s": one.transfers_s,
        "in_time": one.in_time,
        "devices": [_pair_json(pair) for pair in one.taken],
        "rate_error": {"p50": one.median_error, "max": one.worst_error},
        "rates": [{"client": c, "what": what, "error": error} for c, what, error in one.errors],
        "lateness_ms": {
            "p50": late.lateness_ms_p50,
            "p99": late.lateness_ms_p99,
            "max": late.lateness_ms_max,
        },
        "core_share": one.core_share,
        "cpu_s_per_gbit": one.cpu_s / one.gbit,
        "gbit_per_s": one.gbit_per_s,
        "tried": [
            {
                "round_s": each.last.delivered,
                "in_time": each.in_time,
                "rate_error": {"p50": each.median_error, "max": each.worst_error},
            }
            for each in one.tried
        ],
    }


def _loss_json(loss: LossResult) -> Json:
    return {
        "network": loss.network,
        "what": loss.what,
        "asked": loss.asked,
        "delivered": loss.share,
        "sent": loss.sent,
        "lost": loss.lost,
        "transfers": None if loss.transfers is None else _pair_json(loss.transfers),
        "allowed": loss.allowed,
    }


def _replay_json(replay: ReplayResult) -> Json:
    return {
        "client": replay.client,
        "what": replay.what,
        "window_s": replay.window_s,
        "windows": [_pair_json(pair) for pair in replay.windows],
        "bound": replay.bound,
        "tried": [[pair.delivered for pair in one.windows] for one in replay.tried],
    }


def _share_json(share: ShareResult) -> Json:
    return {
        "name": share.name,
        "what": share.what,
        "members": share.members,
        "sum": _pair_json(share.sum),
        "held_back": share.equal,
        "jain": share.jain,
        "tried": [{"sum": one.sum.delivered, "jain": one.jain} for one in share.tried],
    }


def _link_json(link: LinkResult) -> Json:
    return {
        "network": link.network,
        "loss": link.loss,
        "rates": [_pair_json(pair) | {"bound": bound} for pair, bound in link.bounded_rates],
        "round_trip": _pair_json(link.rtt),
        "jitter": None if link.jitter is None else _pair_json(link.jitter),
        "transfers": [_pair_json(pair) for pair in link.transfers],
    }


def _pair_json(pair: Pair) -> dict[str, Json]:
    figure: dict[str, Json] = {"what": pair.what, "asked": pair.asked, "delivered": pair.delivered}
    return {**figure, "tried": plain(pair.tried)} if pair.tried else figure
