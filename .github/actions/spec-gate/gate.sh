#!/usr/bin/env bash
# Runs `ampy-conform spec diff BASE HEAD` and puts its findings into the job's summary. Ends with the
# code of the comparison; nothing that went wrong ends with 0.
set -euo pipefail

say() {
  {
    echo "verdict=$1"
    echo "exit-code=$2"
  } >>"${GITHUB_OUTPUT:-/dev/null}"
}

refuse() {
  echo "::error title=contract gate::$1"
  say usage 2
  exit 2
}

# A revision: what git may call one, and nothing that a command would read in another way.
revision='^[A-Za-z0-9_][A-Za-z0-9_./@^~=-]*$'
[[ ${BASE:-} =~ $revision ]] || refuse "the input base is empty or no revision"
[[ ${HEAD:-} =~ $revision ]] || refuse "the input head is empty or no revision"
folder=${SPEC_FOLDER:-spec}
[[ $folder =~ ^[A-Za-z0-9._/-]+$ && $folder != -* ]] || refuse "the input spec-folder has characters that a path here cannot have"
options=("--within=$folder")
case ${STRICT:-} in
  true) options+=(--strict) ;;
  false | "") ;;
  *) refuse "the input strict is neither true nor false" ;;
esac

out=${REPORT_FOLDER:-ampy-conform-gate}
[[ $out =~ ^[A-Za-z0-9._/-]+$ && $out != -* ]] || refuse "the input report-folder has characters that a path here cannot have"
mkdir -p -- "$out" || refuse "the folder of the report cannot be made"
rm -f -- "$out/spec-diff.md" "$out/spec-diff.sarif"

code=0
ampy-conform spec diff "${options[@]}" --format markdown --output "$out/spec-diff.md" -- "$BASE" "$HEAD" || code=$?
if [[ -s $out/spec-diff.md ]]; then
  cat -- "$out/spec-diff.md" >>"${GITHUB_STEP_SUMMARY:-/dev/null}"
  # The same findings for code scanning; its code is that of the comparison, which is known.
  ampy-conform spec diff "${options[@]}" --format sarif --output "$out/spec-diff.sarif" -- "$BASE" "$HEAD" >/dev/null || true
elif [[ $code == 0 ]]; then
  echo "::error title=contract gate::the comparison ended well and left no findings"
  code=3
fi
case $code in
  0) verdict=declared ;;
  1) verdict=undeclared ;;
  2) verdict=usage ;;
  6) verdict=inconclusive ;;
  *) verdict=failure ;;
esac
say "$verdict" "$code"
if [[ $code != 0 ]]; then
  echo "::error title=contract gate::$verdict (exit $code)"
  [[ -s $out/spec-diff.md ]] || echo "## Contract gate: $verdict" >>"${GITHUB_STEP_SUMMARY:-/dev/null}"
fi
exit "$code"
