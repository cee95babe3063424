"""Commands: which are executed, which are rejected, and that each is replied to."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, get_args

import pytest

from edged.config.types import CommandName
from edged.control.dispatcher import (
    LOG_LINES,
    MAX_PENDING,
    MAX_PENDING_REPLIES,
    REPLY_CACHE_S,
    REPLY_CACHE_SIZE,
    CommandDispatcher,
    CommandResult,
)
from edged.errors import CommandRejected
from edged.messages.build import device_status
from edged.messages.bus import MAX_CORRELATION_BYTES, MAX_PAYLOAD_BYTES, Request
from edged.messages.commands import COMMANDS, SetRate
from edged.messages.topics import Topic
from tests.support.memory_bus import MemoryBus
from tests.support.messages import HEADERS
from tests.support.schema import schema_errors

ROOT = "edged/box/"


class Bus(MemoryBus):
    """Remembers the correlation data too."""

    def __init__(self) -> None:
        self.correlations: list[bytes | None] = []
        super().__init__(lambda state: device_status(HEADERS, state))

    def publish(
        self,
        topic: Topic,
        message: Mapping[str, Any] | bytes,
        *,
        correlation: bytes | None = None,
        on_published: Callable[[], None] | None = None,
    ) -> None:
        super().publish(topic, message)
        self.correlations.append(correlation)


class Box:
    """A dispatcher whose handlers record their commands."""

    def __init__(self, *allow: str, **handlers: Callable[[Any], CommandResult]) -> None:
        self.bus = Bus()
        self.done: list[Any] = []
        table = dict.fromkeys(COMMANDS, self._do) | {
            name.replace("_", "-"): handler for name, handler in handlers.items()
        }
        self.now_s = 0.0
        self.dispatcher = CommandDispatcher(
            self.bus, HEADERS, table, allow, root=ROOT, response_topics=["site"], clock=lambda: self.now_s
        )

    def _do(self, command: Any) -> CommandResult:
        self.done.append(command)
        return CommandResult(data={"times": len(self.done)})

    def send(self, verb: str, payload: object = None, **rest: Any) -> dict[str, Any]:
        """One command, and its answer, wherever that went."""
        text = payload if isinstance(payload, bytes) else json.dumps(payload if payload is not None else {}).encode()
        self.bus.receive(Request(path=f"cmd/{verb}", payload=text, **{"retain": False, **rest}))
        self.dispatcher.run_next()
        answer: dict[str, Any] = self.bus.messages[-1][1]
        return answer

    @property
    def topic(self) -> str:
        return self.bus.messages[-1][0]


def test_allowed_command_is_executed_and_replied_to() -> None:
    box = Box("set-rate")
    answer = box.send("set-rate", {"hz": 5, "camera": "barn"})
    assert box.done == [SetRate(hz=5, camera="barn")]
    assert (answer["ok"], answer["error"], answer["data"]) == (True, None, {"times": 1})
    assert box.topic == "cmd/set-rate/result"


def test_reply_goes_to_the_response_topic_with_id_and_correlation() -> None:
    box = Box("reload")
    answer = box.send("reload", {"id": "a1"}, response_topic="site/me", correlation=b"\1")
    assert (box.topic, answer["id"], box.bus.correlations[-1]) == ("/site/me", "a1", b"\1")


@pytest.mark.parametrize("topic", ["edged/box/cmd/reload/result/me", "edged/box/cmd/x/y", "site", "site/a/b"])
def test_response_topic_below_the_own_commands_or_a_configured_topic_is_used(topic: str) -> None:
    box = Box("reload")
    box.send("reload", response_topic=topic)
    assert box.topic == f"/{topic}"


FOREIGN_TOPICS = {
    "own status": "edged/box/status",
    "own camera": "edged/box/cam/a/alert",
    "own command": "edged/box/cmd/reload",
    "another device": "edged/other/cmd/reload/result",
    "begins alike": "sites/a",
    "wildcard": "site/+",
    "all": "site/#",
    "system": "$SYS/x",
    "too many levels": "/".join(["site"] * 250),
    "too long": "site/" + "a" * 300,
    "terminal escape": "site/\x1b[2J",
    "lone surrogate": "site/\ud800",
    "empty": "",
}


@pytest.mark.parametrize("topic", FOREIGN_TOPICS.values(), ids=FOREIGN_TOPICS.keys())
def test_response_topic_of_others_or_invalid_is_not_used(topic: str) -> None:
    box = Box("reload")
    box.send("reload", response_topic=topic)
    assert box.topic == "cmd/reload/result"


def test_flood_of_commands_leaves_few_lines_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    box = Box("reload")
    with caplog.at_level(logging.INFO, "edged.control"):
        for number in range(100):
            box.send(f"verb-{number}")
    assert len(caplog.records) == LOG_LINES
    assert "no more of this minute" in caplog.records[-1].getMessage()


def test_dispatcher_subscribes_once_a_command_is_allowed() -> None:
    box = Box()
    request = Request(path="cmd/reload", payload=b"{}", retain=False)
    box.bus.receive(request)
    assert not box.dispatcher.run_next()
    box.dispatcher.set_allowed(["reload"])
    box.bus.receive(request)
    assert box.dispatcher.run_next()


DECLINED: dict[str, tuple[str, object, str, str, str]] = {
    "unknown": ("explode", {}, "command", '"explode"', "one of snapshot, day, evidence, reload,"),
    "not allowed": ("diagnose", {}, "command diagnose", "what is not allowed here", "one of set-rate, snooze"),
    "nothing": ("set-rate", b"", "payload", "nothing", "a JSON object"),
    "not JSON": ("set-rate", b"hz=5", "payload", '"hz=5"', "a JSON object"),
    "not UTF-8": ("set-rate", b'{"a": "\xff"}', "payload", r'"{\"a\": \"\ufffd\"}"', "a JSON object"),
    "too deep": ("set-rate", b"[" * MAX_PAYLOAD_BYTES, "payload", '"[[[', "a JSON object"),
    "not an object": ("set-rate", [5], "payload", '"[5]"', "a JSON object"),
    "too large": ("set-rate", b"x" * 5000, "payload", "more than 4096 bytes", "at most 4096"),
    "missing": ("set-rate", {}, "argument hz", "nothing", "a number, 0.001..240"),
    "wrong type": ("set-rate", {"hz": "5"}, "argument hz", '"5"', "a number, 0.001..240"),
    "out of bounds": ("set-rate", {"hz": 0}, "argument hz", "0", "a number, 0.001..240"),
    "too slow to count": ("set-rate", {"hz": 1e-300}, "argument hz", "1e-300", "a number, 0.001..240"),
    "not a number": ("set-rate", b'{"hz": NaN}', "argument hz", "NaN", "a number, 0.001..240"),
    "unknown argument": ("set-rate", {"hz": 1, "x": 2}, 'argument "x"', "2", "one of id, hz, camera, seconds"),
    "no such text": ("snooze", {"alert_id": "\ud800", "minutes": 1}, "argument alert_id", '"\\ud800"', "text"),
}


@pytest.mark.parametrize(("verb", "payload", "what", "got", "wanted"), DECLINED.values(), ids=DECLINED)
def test_rejected_command_is_replied_to_with_the_reason(
    verb: str, payload: object, what: str, got: str, wanted: str
) -> None:
    box = Box("set-rate", "snooze")
    error = box.send(verb, payload)["error"]
    assert box.done == []
    assert error["what"] == what
    assert error["got"].startswith(got)
    assert wanted in error["wanted"]
    assert error["do"]


def test_retained_command_is_rejected() -> None:
    box = Box("reload")
    answer = box.send("reload", {"id": "a1"}, retain=True)
    assert (answer["ok"], answer["error"]["got"], box.done) == (False, "a retained message", [])


def test_rejection_carries_the_id_of_its_command() -> None:
    assert Box("set-rate").send("set-rate", {"id": "a1", "hz": -1})["id"] == "a1"


@pytest.mark.parametrize("named", [7, "\ud800", "x" * 129, ["a"]], ids=["number", "half a character", "long", "list"])
def test_invalid_id_is_left_out(named: object) -> None:
    answer = Box("set-rate").send("set-rate", {"id": named, "hz": 1})
    assert (answer["id"], answer["error"]["what"]) == (None, "argument id")


@pytest.mark.parametrize("verb", ["", "Reload", "x" * 33, "é"])
def test_invalid_verb_is_replied_to_as_unknown(verb: str) -> None:
    box = Box("reload")
    assert box.send(verb)["command"] == "unknown"
    assert box.topic == "cmd/unknown/result"


def test_command_delivered_twice_is_executed_once_and_replied_to_twice() -> None:
    box = Box("reload")
    answers = [box.send("reload", {"id": "a1"}) for _ in range(2)]
    assert [answer["data"] for answer in answers] == [{"times": 1}, {"times": 1}]
    assert box.send("reload", {"id": "a2"})["data"] == {"times": 2}


def test_command_with_long_correlation_data_is_rejected_and_they_are_not_sent_back() -> None:
    box = Box("reload")
    assert box.send("reload", correlation=b"c" * MAX_CORRELATION_BYTES)["ok"]
    answer = box.send("reload", correlation=b"c" * (MAX_CORRELATION_BYTES + 1))
    assert (answer["error"]["what"], len(box.done), box.bus.correlations[-1]) == ("correlation data", 1, None)


def test_equal_commands_without_id_are_each_executed() -> None:
    box = Box("reload")
    assert [box.send("reload")["data"]["times"] for _ in range(2)] == [1, 2]
    assert [box.send("reload", correlation=b"c")["data"]["times"] for _ in range(2)] == [3, 3]


def test_reply_cache_keeps_the_last_replies() -> None:
    box = Box("reload")
    for number in range(REPLY_CACHE_SIZE + 1):
        box.send("reload", {"id": str(number)})
    assert box.send("reload", {"id": "1"})["data"] == {"times": 2}
    assert box.send("reload", {"id": "0"})["data"] == {"times": REPLY_CACHE_SIZE + 2}


def test_reply_is_not_repeated_later_or_once_the_command_is_forbidden() -> None:
    box = Box("reload")
    box.send("reload", {"id": "a"})
    box.now_s = REPLY_CACHE_S
    assert box.send("reload", {"id": "a"})["data"] == {"times": 2}
    box.dispatcher.set_allowed(["snooze"])
    assert not box.send("reload", {"id": "a"})["ok"]


def test_rejection_by_the_handler_is_the_reply() -> None:
    def refuse(_: Any) -> CommandResult:
        raise CommandRejected("camera", got="barn", wanted="yard", do="name it")

    answer = Box("reload", reload=refuse).send("reload", {"id": "a"})
    assert (answer["error"], answer["id"]) == (
        {"what": "camera", "got": "barn", "wanted": "yard", "do": "name it"},
        "a",
    )


def test_bug_in_a_handler_is_logged_and_replied_to(caplog: pytest.LogCaptureFixture) -> None:
    def stumble(_: Any) -> CommandResult:
        raise ZeroDivisionError

    answer = Box("reload", reload=stumble).send("reload")
    assert answer["error"]["got"] == "ZeroDivisionError"
    assert "command reload: unexpected error" in caplog.text


def test_after_reply_is_called_once_the_reply_is_published() -> None:
    seen: list[int] = []
    box = Box(
        "reload",
        reload=lambda _: CommandResult(after_reply=lambda: seen.append(len(box.bus.messages_on("cmd/reload/result")))),
    )
    box.send("reload", {"id": "a"})
    box.send("reload", {"id": "a"})
    assert seen == [1]


def test_every_reply_is_valid_by_its_schema() -> None:
    box = Box("set-rate")
    for payload in ({"hz": 1, "id": "a"}, {"hz": 0}):
        assert schema_errors(box.topic if box.done else "cmd/set-rate/result", box.send("set-rate", payload)) == []


def test_configuration_has_every_verb() -> None:
    assert tuple(COMMANDS) == get_args(CommandName)


def test_flood_is_executed_then_rejected_then_dropped(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    box = Box("reload")
    for _ in range(1000):
        box.bus.receive(Request(path="cmd/reload", payload=b"{}", retain=False))
    while box.dispatcher.run_next():
        pass
    answers = box.bus.messages_on("cmd/reload/result")
    assert [answer["ok"] for answer in answers] == [True] * MAX_PENDING + [False] * (MAX_PENDING_REPLIES - MAX_PENDING)
    assert answers[-1]["error"]["got"] == "more than 16 at a time"
    assert len(caplog.records) == 1
    assert box.send("reload")["ok"]
    for _ in range(1000):
        box.bus.receive(Request(path="cmd/reload", payload=b"{}", retain=False))
    assert len(caplog.records) == 2


def test_enqueued_command_is_executed_although_not_allowed() -> None:
    box = Box()
    box.dispatcher.enqueue("reload")
    box.dispatcher.run_next()
    assert box.bus.messages_on("cmd/reload/result")[0]["ok"]


def test_commands_that_wait_at_a_restart_are_executed_and_replied_to_by_the_next_daemon() -> None:
    before, box = Box("set-rate"), Box("set-rate")
    before.bus.receive(Request(path="cmd/set-rate", payload=b'{"hz": 5}', retain=False, correlation=b"1"))
    before.dispatcher.enqueue("reload")
    box.dispatcher.take_over(before.dispatcher)
    box.dispatcher.run_next()
    box.dispatcher.run_next()
    assert [type(command).__name__ for command in box.done] == ["SetRate", "Reload"]
    assert box.bus.correlations[-2:] == [b"1", None]
