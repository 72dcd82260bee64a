"""Load tests: latency at an offered load, throughput, and verdicts that hold on a noisy machine.

The method is told in docs/slo.md. `intervals`, `exceedance` and `verdict` are pure functions of
samples; `run` gets the samples from drivers; `simulate` shows how often the verdict is wrong.
"""
