"""Latency and throughput (SLO): what the contract promises under load, beside the raw client.

These cases run when the profile is asked for (`--profile slo`): they take minutes. One run judges
all limits; docs/slo.md tells how, and why a busy machine leaves it open.
"""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.load


@pytest.mark.clause("SLO-01")
def test_orders_signals_and_fills_are_delivered_in_time(lab, loads):
    """At the offered load, 99 % of orders, signals and fills are delivered within the limit."""
    lab.judge_load("SLO-01", loads.latency().of("SLO-01"))


@pytest.mark.clause("SLO-02")
def test_bars_and_ticks_are_delivered_in_time(lab, loads):
    """In the same run, 99 % of bars and ticks are delivered within their limit."""
    lab.judge_load("SLO-02", loads.latency().of("SLO-02"))


@pytest.mark.clause("SLO-07")
def test_the_capacity_is_shown(lab, loads):
    """With a fixed window, one producer has as many records acknowledged as the contract aims at."""
    lab.judge_capacity("SLO-07", loads.throughput())


@pytest.mark.clause("RPL-11")
def test_live_records_are_in_time_while_a_replay_goes_on(lab, loads):
    """Records that the group has missed are replayed beside the load, and the limits still hold."""
    lab.needs_profile("replay")
    lab.judge_replay("RPL-11", loads.replay())


@pytest.mark.clause("BKP-01")
def test_a_consumer_tells_under_load_that_it_is_behind(lab, loads):
    """A consumer hangs while records flow: it tells so, and tells when it has caught up."""
    lab.needs_profile("backpressure")
    lab.judge_signal("BKP-01", loads.pressure())


@pytest.mark.clause("BKP-02")
def test_who_can_wait_waits_under_load(lab, loads):
    """In the same run, producers of the lowest class are held up."""
    lab.needs_profile("backpressure")
    lab.judge_held_up("BKP-02", loads.pressure())


@pytest.mark.clause("BKP-03")
def test_pressure_under_load_loses_nothing(lab, loads):
    """In the same run nothing that was acknowledged is lost."""
    lab.needs_profile("backpressure")
    lab.judge_pressure("BKP-03", loads.pressure())
