#!/usr/bin/env bash
# zoopt 0.4.2, numpy 2.4.6, Python 3.11.
#
# `SRacosTune` is ZOOpt's optimiser for tuning libraries: `suggest()` gives a solution, `complete(solution, value)` takes its
# value, and `suggest()` gives None while it waits for values that are still missing. One would expect a loop that asks and
# tells one solution at a time never to see None twice in a row, since nothing is missing. But when the first solutions (its
# training set) have all been told before the next one is asked for, `suggest()` begins to wait for the telling that is over
# already, and gives None for ever. Only who asks for one solution more before the last of the first ones is told goes on.
#
# Seen: 4 solutions, then None, None, None, ...; with one solution asked ahead it goes on.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check zoopt==0.4.2 numpy==2.4.6
cat > "$folder/program.py" <<'PROGRAM'
from zoopt import Dimension2, Parameter, ValueType
from zoopt.algos.opt_algorithms.racos.sracos import SRacosTune


def optimizer():
    space = Dimension2([(ValueType.CONTINUOUS, [0, 1], 1e-6)])
    return SRacosTune(dimension=space, parameter=Parameter(budget=20), parallel_num=2)


one_by_one, given = optimizer(), 0
for _ in range(100):
    solution = one_by_one.suggest()
    if solution is not None:
        given += 1
        one_by_one.complete(solution, solution.get_x()[0] ** 2)
print("one by one:", given, one_by_one.suggest())

ahead, told, waiting = optimizer(), 0, []
for _ in range(100):
    solution = ahead.suggest()
    if isinstance(solution, str):  # "FINISHED"
        break
    if solution is not None:
        waiting.append(solution)
    if waiting and (solution is None or len(waiting) > 1):
        first = waiting.pop(0)
        ahead.complete(first, first.get_x()[0] ** 2)
        told += 1
print("one ahead:", told >= 10)
PROGRAM
output=$("$folder/venv/bin/python" "$folder/program.py")
printf '%s\n' "$output"
grep -Eq '^one by one: [0-9]{1,2} None$' <<< "$output"
grep -q '^one ahead: True$' <<< "$output"
echo "as described"
