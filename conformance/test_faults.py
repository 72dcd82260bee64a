"""What faults bring to light: one campaign a fault, each of its properties a case.

These cases run with `--faults`. A campaign publishes, consumes and strikes for some seconds, then
reads the log raw; the temporal properties (`spec/properties/`) judge its history. The clauses of a
case are those of its property.
"""

from __future__ import annotations


def test_under_fault(lab, trials, cell):
    """Records flow while a fault strikes; afterwards the property holds over all that happened."""
    lab.judge_trial(trials.of(cell.fault), cell.property)
