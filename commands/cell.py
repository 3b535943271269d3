"""One run of a comparison, in a process of its own: `python -m commands.cell SETTINGS OUT`.

Ends when whoever started it is gone, which it sees by the end of its standard input: no run of a
comparison that was killed may go on beside the one that resumes it.
"""

import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from commands.errors import EXIT_BAD_INPUT, EXIT_FAILED, EXIT_GOOD, BadInput, Failure


def main(words: Sequence[str]) -> int:
    """`words`: a file with settings and the run folder to make."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    settings_file, out = map(Path, words)
    from commands.execution import execute
    from commands.local import local_workers
    from commands.settings import resolve
    from commands.study import prepare

    try:
        study = prepare(resolve(str(settings_file), {}, ()))
        execute(study, out, local_workers(study))
    except (BadInput, Failure) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT if isinstance(error, BadInput) else EXIT_FAILED
    return EXIT_GOOD


def _end_with_parent() -> None:
    while os.read(0, 4096):  # not sys.stdin: its lock, held here, would end a finished run badly
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
