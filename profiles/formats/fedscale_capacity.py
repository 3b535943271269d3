"""FedScale's client_device_capacity: what a client's inference of a sample takes, and its rate.

The file is constant in time. Its computation becomes a pace, relative to the device whose profile
is played: reference ms of training a sample / (training factor × ms of inference).
"""

from profiles.formats.options import ImportOptions
from profiles.formats.pickled import plain_values
from profiles.formats.source import Source
from profiles.trace import DeviceTrace, Steps


def read(source: Source, options: ImportOptions) -> tuple[DeviceTrace, ...]:
    if options.reference_ms is None:
        rule = "needs --reference-ms: the training time of a sample that is pace 1"
        raise source.error("", rule)
    clients = source.chosen(source.table("", plain_values(source)), options.device)
    return tuple(_client(source, name, raw, options) for name, raw in clients.items())


def _client(source: Source, name: str, raw: object, options: ImportOptions) -> DeviceTrace:
    place = f"client {name}"
    table = source.table(place, raw)
    inference_ms, kbit_s = (
        source.number(f"{place}: {key}", source.entry(place, table, key))
        for key in ("computation", "communication")
    )
    if not inference_ms or not kbit_s:
        raise source.error(place, "computation and communication must be above 0")
    rate = source.rate(f"{place}: communication", kbit_s * 1e3 / 8)
    end_s = options.duration_s
    pace = (options.reference_ms or 0.0) / (options.training_factor * inference_ms)
    link = Steps.constant(rate, end_s)
    return DeviceTrace(name, end_s, link, link, pace=Steps.constant(pace, end_s))
