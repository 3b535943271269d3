#!/bin/sh
# Install the project, pinned, into the environment of the given python.
# usage: install.sh PYTHON TORCH_CPU_INDEX
set -eu
python=$1
torch_cpu=$2
cd "$(dirname "$0")/.."

torch=$(grep '^torch==' constraints.txt)
if ! "$python" -c 'import torch' 2>/dev/null; then
    # A machine with a GPU, or one that cannot reach the CPU index, takes torch from wherever pip
    # finds it; all others save the download of the CUDA libraries.
    if ! command -v nvidia-smi >/dev/null 2>&1 && "$python" - "$torch_cpu" <<'PY' 2>/dev/null
import sys, urllib.request
urllib.request.urlopen(sys.argv[1] + "/torch/", timeout=5).close()
PY
    then
        # What torch needs comes with the rest below, from wherever pip finds it.
        "$python" -m pip install -q --no-deps "$torch" --index-url "$torch_cpu"
    else
        "$python" -m pip install -q "$torch" -c constraints.txt
    fi
fi
"$python" -m pip install -q -c constraints.txt -e '.[dev]'
