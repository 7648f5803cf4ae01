#!/usr/bin/env bash
# Make the environment in which this package meets the reference: setup_peers.sh MAIN PEERS
#
# PEERS borrows torch and this package from MAIN, so that both networks run on the same library,
# and holds the reference and what only it needs.
set -euo pipefail

main=$1 peers=$2
"$main/bin/python" -m venv --without-pip "$peers"
borrowed=$("$main/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
own=$("$peers/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
# Not a plain path: the editable install of this package is itself such a file over there.
echo "import site; site.addsitedir('$borrowed')" > "$own/borrowed.pth"

install() {
    "$main/bin/python" -m pip --python "$peers/bin/python" install \
        --quiet --disable-pip-version-check "$@"
}
install -r "$(dirname "$0")/requirements.txt"
# Built against the torch that is there. Its own requirements name torchvision, which its video
# predictor does not use and which has no build for this torch; its CUDA extension needs a compiler
# and only fills holes.
SAM2_BUILD_CUDA=0 install --no-build-isolation --no-deps sam2==1.1.0
