"""The fleet's figures for a few devices: no message is lost, and a lost one is counted."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edged.provisioning.desired import Desired
from tools.fleet import rollout
from tools.fleet.__main__ import Figures, brokers, row, run

FEW = Namespace(rate_hz=10.0, seconds=1.0, processes=2)


@pytest.mark.parametrize("bridged", [False, True], ids=["broker", "bridge"])
def test_few_devices_lose_no_message(bridged: bool, mosquitto_binary: str, certs: Path) -> None:
    with brokers(3, bridged=bridged) as (site, central):
        figures = run(site, central, FEW, 3)
    assert "0 of 24, 0 of 6" in row(3, "bridge", figures)
    assert all(arrivals.duplicates == 0 for arrivals in figures.arrivals.values())


def test_lost_message_is_counted(mosquitto_binary: str, certs: Path) -> None:
    with brokers(1, bridged=False) as (site, _):
        figures = run(site, None, FEW, 1)
    poses = figures.arrivals["poses"]
    fewer: Figures = replace(figures, arrivals={"poses": replace(poses, count=5, late_ms=np.array([1.0]))})
    assert "3 of 8, 2 of 2" in row(1, "broker", fewer)


def test_bad_roll_out_stops_by_itself_and_a_good_one_reaches_all(
    mosquitto_binary: str, certs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edged.commands.rollout.RETAINED_S", 1.0)
    good, bad = "publish.max_rate_hz = 2.0\n", "publish.max_rate_hz = -1.0\n"
    with rollout.site(6, lambda device, what: "") as (boxes, broker, key):
        wanted = Desired(group=rollout.GROUP, number=1, configuration=good)
        assert rollout.roll_out(broker, key, wanted, [50, 100], stop_at=0)[0]
        assert boxes.having() == {(rollout.OLD, good): 6}
        wanted = wanted.model_copy(update={"configuration": bad, "version": rollout.NEW})
        assert not rollout.roll_out(broker, key, wanted, [50, 100], stop_at=0)[0]
        after = boxes.having()
        assert {text for _, text in after} == {good}  # the version was installed where it was asked for, the rest not
        assert 0 < after[rollout.OLD, good] < 6
