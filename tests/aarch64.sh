#!/usr/bin/env bash
# The engines' tests on an emulated aarch64 CPU (NEON: 32 registers of 128 bits): bash tests/aarch64.sh [pytest's arguments]
#
# For Debian or Ubuntu on x86-64, as root the first time: apt fetches the emulator and an arm64 Python, whose packages are
# unpacked into .venv/aarch64 and not installed. It takes two hours; with arguments, such as tests/test_simd.py, less.
# What starts a process is skipped, since the process would not be emulated.
set -euo pipefail
cd "$(dirname "$0")/.."

HERE=$PWD/.venv/aarch64
ROOT=$HERE/root
PYTHON=3.11 # Debian's
DEBIAN="python$PYTHON-minimal libpython$PYTHON-minimal libpython$PYTHON-stdlib python$PYTHON libc6 libgcc-s1 libstdc++6 libssl3
  zlib1g libffi8 libbz2-1.0 liblzma5 libsqlite3-0 libexpat1 libcrypt1 libuuid1 libtinfo6 libncursesw6 libreadline8 libnsl2
  libtirpc3 libgomp1"
WHEELS="numba llvmlite numpy scipy scikit-learn joblib threadpoolctl pytest pluggy iniconfig packaging pygments hypothesis
  sortedcontainers attrs mpmath cloudpickle"
TESTS="tests/test_simd.py tests/test_math.py tests/test_straight.py tests/test_activations.py tests/test_losses.py
  tests/test_optimizers.py tests/test_dropout.py tests/test_team.py tests/test_crew.py tests/test_subnormals.py
  tests/test_network.py tests/test_lanes.py tests/test_sparse.py tests/test_gradients.py tests/test_normalization.py
  tests/test_engines.py"

if [ ! -e "$HERE/ready" ]; then
  mkdir -p "$HERE/packages" "$ROOT" "$HERE/wheels"
  dpkg --add-architecture arm64
  apt-get update
  (cd "$HERE/packages" && apt-get download qemu-user-static $(printf '%s:arm64 ' $DEBIAN))
  dpkg --remove-architecture arm64
  for package in "$HERE"/packages/*.deb; do dpkg -x "$package" "$ROOT"; done
  platforms=$(printf -- '--platform manylinux%s_aarch64 ' 2014 _2_17 _2_27 _2_28)
  .venv/bin/python -m pip download --no-deps --only-binary=:all: --python-version $PYTHON --implementation cp $platforms \
    --platform any --dest "$HERE/packages" $WHEELS
  for wheel in "$HERE"/packages/*.whl; do .venv/bin/python -m zipfile -e "$wheel" "$HERE/wheels"; done
  touch "$HERE/ready"
fi

# shellcheck disable=SC2086 # lists of names
exec env EMULATED=1 PYTHONHOME="$ROOT/usr" PYTHONPATH="$PWD:$HERE/wheels" NUMBA_CACHE_DIR="$HERE/cache" \
  "$ROOT/usr/bin/qemu-aarch64-static" -cpu neoverse-n1 -L "$ROOT" "$ROOT/usr/bin/python$PYTHON" \
  -m pytest -p no:cacheprovider ${*:-$TESTS}
