"""The command `evidence`: the still or the clip of an alert, once more."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from edged.config.tree import Config
from edged.control.handlers import CommandHandlers
from edged.errors import CommandRejected
from edged.evidence.store import EvidenceStore
from edged.messages.commands import Evidence
from edged.messages.topics import Topic

ALERT = "0123456789abcdef" * 2


class Box:
    """The handler with one alert's still on disk, and what it published."""

    def __init__(self, folder: Path, *, images: bool = True) -> None:
        self.published: list[tuple[str, bytes]] = []
        store = EvidenceStore(folder, max_mb=1, max_days=1)
        store.put(ALERT, {"still.jpg": b"still"})
        store.put_message(ALERT, {"camera": "a"})
        config = Config.model_validate({"cameras": {"a": {"source": "0", "images": images}}})
        nothing = cast(Any, None)
        self.handlers = CommandHandlers(
            config=lambda: config,
            bus=cast(Any, self),
            headers=nothing,
            hub=nothing,
            publisher=cast(Any, _Publisher()),
            alerts=nothing,
            days_of=nothing,
            pictures=nothing,
            evidence=store,
        )

    def publish(self, topic: Topic, message: bytes) -> None:
        self.published.append((topic.path, message))


class _Publisher:
    last_poses = publish_next = staticmethod(lambda camera: None)


def test_still_is_published_below_its_alert(tmp_path: Path) -> None:
    box = Box(tmp_path)
    result = box.handlers.evidence(Evidence(alert_id=ALERT))
    assert box.published == [(f"cam/a/alert/{ALERT}/still", b"still")]
    assert result.data == {"alert_id": ALERT, "camera": "a", "part": "still", "bytes": 5}


@pytest.mark.parametrize(
    ("images", "command"),
    [
        (True, Evidence(alert_id=ALERT, part="clip")),
        (True, Evidence(alert_id="../../etc/passwd")),
        (True, Evidence(alert_id="f" * 32)),
        (False, Evidence(alert_id=ALERT)),
    ],
    ids=["no clip yet", "no id", "unknown", "pictures may not be sent any more"],
)
def test_what_there_is_not_or_may_not_be_sent_is_rejected(tmp_path: Path, images: bool, command: Evidence) -> None:
    box = Box(tmp_path, images=images)
    with pytest.raises(CommandRejected):
        box.handlers.evidence(command)
    assert box.published == []
