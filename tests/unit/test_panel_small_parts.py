"""Aiming sessions, cures, and the token that provisioning makes."""

from __future__ import annotations

import re
from pathlib import Path

from edged.config.tree import Config
from edged.device import problems
from edged.panel.aiming import AIMING_S, Aiming
from edged.panel.cures import CURES
from edged.provisioning.bundle import install, read_bundle
from edged.provisioning.panel_setup import TOKEN_FILE, link_own_files, with_panel_token
from tests.support.clock import MS, ManualClock


def test_aiming_is_announced_and_ends_by_itself(clock: ManualClock) -> None:
    announced, told = dict[str, int](), list[dict[str, int]]()
    aiming = Aiming(announced, lambda: told.append(dict(announced)), lambda t_ns: t_ns // MS, clock)
    aiming.begin("a")
    assert aiming.holds("a")
    assert not aiming.holds("b")
    clock.pass_s(AIMING_S - 1)
    aiming.expire()
    assert (aiming.holds("a"), aiming.left_s("a")) == (True, 1)
    clock.pass_s(2)
    assert not aiming.holds("a")
    aiming.expire()
    aiming.end("a")
    assert told == [{"a": AIMING_S * 1000}, {}]


def test_every_problem_has_its_cure() -> None:
    text = Path(problems.__file__).read_text()
    codes = set(re.findall(r'Problem\(\s*"([a-z0-9-]+)"', text))
    codes |= {limit.code for limit in problems.LIMITS} | {f"thread-{kind}" for kind in ("dead", "stuck", "failing")}
    assert codes == CURES.keys()


def provision(folder: Path, text: str) -> str | None:
    """The new token, if one was made."""
    (folder / "box.toml").write_text(text)
    bundle, made = with_panel_token(read_bundle(folder / "box.toml"), folder)
    install(bundle, folder)
    return made


def test_token_is_made_once_and_kept(tmp_path: Path) -> None:
    file = tmp_path / TOKEN_FILE.lstrip("/")
    assert provision(tmp_path, '[device]\nid = "a"\n') is None
    assert not file.exists()
    made = provision(tmp_path, "[panel]\nenabled = true\n")
    assert made is not None
    assert len(made) == 32
    assert provision(tmp_path, "[panel]\nenabled = true\nport = 9000\n") is None
    assert (file.read_text().strip(), file.stat().st_mode & 0o777) == (made, 0o600)
    assert made not in (tmp_path / "etc/edged/conf.d/50-box.toml").read_text()


def test_given_token_is_taken(tmp_path: Path) -> None:
    assert provision(tmp_path, '[panel]\nenabled = true\ntoken = "one-of-our-own-0123"\n') is None
    assert (tmp_path / TOKEN_FILE.lstrip("/")).read_text().strip() == "one-of-our-own-0123"


def test_files_that_the_daemon_writes_are_linked_once_where_they_are_wanted(tmp_path: Path) -> None:
    link_own_files(tmp_path, Config.model_validate({}))
    assert not (tmp_path / "etc").exists()
    for state_dir in ("/var/lib/edged", "/elsewhere"):
        wanted = {"device": {"state_dir": state_dir}, "panel": {"enabled": True}, "fleet": {"group": "barns"}}
        link_own_files(tmp_path, Config.model_validate(wanted))
    for name in ("60-panel.toml", "70-fleet.toml"):
        assert (tmp_path / "etc/edged/conf.d" / name).readlink() == Path("/var/lib/edged", name)
