#!/usr/bin/env bash
# Runs `ampy-conform certify` on the inputs of the action, which come as variables and are never part
# of a command's text. Ends with the code of the verdict; nothing that went wrong ends with 0.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

refuse() {
  echo "::error title=ampy-conform::$1"
  {
    echo "verdict=usage"
    echo "exit-code=2"
  } >>"${GITHUB_OUTPUT:-/dev/null}"
  exit 2
}

# Adds --NAME=WORD for each word of a list that is separated by commas, blanks or lines.
each() {
  local word
  for word in ${2//,/ }; do
    options+=("--$1=$word")
  done
}

# Adds --NAME for `true`; a typing error must not pass for `false`.
flag() {
  case $2 in
    true) options+=("--$1") ;;
    false | "") ;;
    *) refuse "the input $1 is neither true nor false" ;;
  esac
}

[[ -n ${DRIVER:-} ]] || refuse "the input driver is empty: name what runs your driver, like exec:./driver"
folder=${REPORT_FOLDER:-ampy-conform-report}
[[ $folder =~ ^[A-Za-z0-9._/-]+$ && $folder != -* ]] || refuse "the input report-folder has characters that a path here cannot have"
mkdir -p -- "$folder" || refuse "the folder of the report cannot be made"
report=$folder/report.jsonl
rm -f -- "$report" "$folder/report.xml"

set -f # words of lists are words, not patterns of files
options=("--report=$report" "--junit=$folder/report.xml")
each profile "${PROFILES:-}"
each group "${GROUPS_:-}" # GROUPS is a variable of bash itself
each clause "${CLAUSES:-}"
each faults "${FAULTS:-}"
[[ -z ${SEED:-} ]] || options+=("--seed=$SEED")
[[ -z ${BROKER:-} ]] || options+=("--broker=$BROKER")
[[ -z ${KNOWN_FAILURES:-} ]] || options+=("--known-failures=$KNOWN_FAILURES")
[[ -z ${TIME_SCALE:-} ]] || options+=("--time-scale=$TIME_SCALE")
flag dedicated-broker "${DEDICATED_BROKER:-}"
flag strict "${STRICT:-}"

export COLUMNS=${COLUMNS:-120} # a log has no width of its own
code=0
ampy-conform certify "${options[@]}" -- "$DRIVER" || code=$?
# What the report itself says must agree, else there is no verdict.
concluded=0
python "$here/conclude.py" "$report" "$code" || concluded=$?
if [[ -f $report ]]; then
  ampy-conform report render "$report" --format markdown --out - >>"${GITHUB_STEP_SUMMARY:-/dev/null}" 2>/dev/null ||
    echo "::warning title=ampy-conform::the report could not be rendered for the summary"
fi
exit "$concluded"
