#!/usr/bin/env bash
# Installs the suite: what SUITE names (a pip requirement), or the checkout that this action lies in,
# so that the version of the action is the version of the suite. EXTRAS: comma-separated.
set -euo pipefail

refuse() {
  echo "::error title=ampy-conform::$1"
  exit 2
}

[[ ${EXTRAS:-} =~ ^[a-z,\ ]*$ ]] || refuse "the input extras is a list of words, like: history, kafka"
[[ ${SUITE:-} != -* ]] || refuse "the input suite is a requirement for pip, not an option"
extras=${EXTRAS// /}
if [[ -n ${SUITE:-} ]]; then
  requirement=$SUITE
else
  requirement=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)${extras:+[$extras]}
fi
python -m pip install --quiet --disable-pip-version-check -- "$requirement"
ampy-conform --version
