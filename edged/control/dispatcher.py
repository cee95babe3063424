"""Commands from the broker: each validated, executed if it is allowed, and replied to, one after the other.

Upstream: the bus, whose thread only queues them. Downstream: one handler per verb, and the bus for the replies.
Thread: its own, so that a flood of commands delays only commands.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from typing import Any

from pydantic import ValidationError

from edged.config.schema import node_of_schema
from edged.errors import CommandRejected, Fatal
from edged.foreign_text import foreign_json, printable, topic_fault
from edged.messages import build
from edged.messages.build import HeaderFactory
from edged.messages.bus import MAX_CORRELATION_BYTES, MAX_PAYLOAD_BYTES, Bus, Request
from edged.messages.commands import COMMANDS, Command
from edged.messages.topics import COMMAND, RESULT, Topic, matches
from edged.runtime.log import LogLimit
from edged.runtime.lru import LruDict
from edged.runtime.threads import SupervisedThread

log = logging.getLogger(__name__)

MAX_PENDING = 16  # commands in the queue; more are rejected
MAX_PENDING_REPLIES = 128  # in the queue, rejected ones too; more get no reply
REPLY_GAP_S = 0.02  # between two replies, which share the bus with the poses
REPLY_CACHE_SIZE, REPLY_CACHE_S = 64, 60.0  # replies kept for commands that MQTT delivers twice
POLL_S = 0.2
JOIN_S = 0.5  # for the command being executed at the end; one that takes longer gets no reply
MAX_QUOTED_CHARS = 60
UNKNOWN_VERB = "unknown"  # in the reply topic, for a verb that is no valid topic level
LOG_LINES, LOG_PERIOD_S = 20, 60.0  # commands are logged up to this many in each period


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """The data of the reply, and what is done once that is sent."""

    data: Mapping[str, Any] = field(default_factory=dict)
    after_reply: Callable[[], None] | None = None


CommandHandler = Callable[[Any], CommandResult]  # takes the validated command; raises CommandRejected


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedCommand:
    """A command in the queue."""

    request: Request
    allowed: Collection[str]
    within_limit: bool = True  # no: the queue was full

    @property
    def verb(self) -> str:
        return self.request.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    command_id: str | None
    result: CommandResult = field(default_factory=CommandResult)
    rejection: CommandRejected | None = None


class CommandDispatcher:
    """Subscribes once a command is allowed.

    `root` is <base>/<device>/: replies go below its `cmd/`, or below a topic of `response_topics`.
    """

    def __init__(
        self,
        bus: Bus,
        headers: HeaderFactory,
        handlers: Mapping[str, CommandHandler],
        allowed: Collection[str],
        *,
        root: str,
        response_topics: Collection[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bus = bus
        self._headers = headers
        self._handlers = dict(handlers)
        self._root = root
        self._response_topics = tuple(response_topics)
        self._log_limit = LogLimit(LOG_LINES, LOG_PERIOD_S)
        self._allowed: Collection[str] = ()
        self._listening = False
        self._queue: SimpleQueue[QueuedCommand] = SimpleQueue()
        self._clock = clock
        self._replies: LruDict[tuple[Any, ...], tuple[float, Reply]] = LruDict(REPLY_CACHE_SIZE)  # with its time
        self._flooded = False
        self._thread = SupervisedThread("commands", self.run_next)
        self.set_allowed(allowed)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """The command being executed is finished and replied to, within JOIN_S."""
        self._thread.stop()
        self._thread.join(JOIN_S)

    def register(self, verb: str, handler: CommandHandler) -> None:
        """Have `handler` execute this command. Before `start`."""
        self._handlers[verb] = handler

    def set_allowed(self, verbs: Collection[str]) -> None:
        """The verbs that are executed from now on. Any thread."""
        self._allowed = tuple(verbs)
        if verbs and not self._listening:
            self._listening = True
            self._bus.subscribe(COMMAND.at(command="+"), self.on_request)

    def on_request(self, request: Request) -> None:
        """Queue a command from the broker. Any thread; does not wait."""
        waiting = self._queue.qsize()
        self._flooded = self._flooded and waiting > 0
        if waiting < MAX_PENDING_REPLIES:
            self._queue.put(QueuedCommand(request=request, allowed=self._allowed, within_limit=waiting < MAX_PENDING))
        elif not self._flooded:
            self._flooded = True
            log.warning(
                "commands: more than %d wait, the next ones get no reply; find out what sends them", MAX_PENDING_REPLIES
            )

    def enqueue(self, verb: str) -> None:
        """Queue a command without arguments, whether it is allowed or not. Any thread, and signal handlers."""
        request = Request(path=COMMAND.at(command=verb).path, payload=b"{}", retain=False)
        self._queue.put(QueuedCommand(request=request, allowed=(verb,)))

    def take_over(self, before: CommandDispatcher) -> None:
        """Execute also what waited at the daemon before, which has ended. Any thread."""
        with suppress(Empty):
            while True:
                self._queue.put(before._queue.get_nowait())

    def execute(self, queued: QueuedCommand) -> None:
        """Execute it unless it is rejected, and publish the reply."""
        reply = self._cached_reply(queued) or self._run_handler(queued)
        verb = queued.verb if re.fullmatch("[a-z0-9-]{1,32}", queued.verb) else UNKNOWN_VERB
        body = build.result(self._headers, verb, reply.command_id, reply.result.data, reply.rejection)
        topic = reply_topic(queued.request.response_topic, self._root, self._response_topics) or RESULT.at(command=verb)
        correlation = queued.request.correlation
        self._bus.publish(topic, body, correlation=None if _is_too_long(correlation) else correlation)
        self._log(verb, reply)
        if reply.result.after_reply is not None:
            reply.result.after_reply()

    def run_next(self) -> float:
        """Execute the next command, if one comes within POLL_S; the seconds until the one after it may begin."""
        try:
            queued = self._queue.get(timeout=POLL_S)
        except Empty:
            return 0.0
        self.execute(queued)
        return REPLY_GAP_S

    def _log(self, verb: str, reply: Reply) -> None:
        if self._log_limit.allow():
            more = f"; no more of this minute's commands are logged ({LOG_LINES})" if self._log_limit.last else ""
            log.info("command %s: %s%s", verb, reply.rejection or "done", more)

    def _run_handler(self, queued: QueuedCommand) -> Reply:
        named = None
        try:
            body = _parse_payload(queued)
            named = _command_id(body)
            command = validate(queued, body)
            reply = Reply(command_id=named, result=self._handlers[queued.verb](command))
        except CommandRejected as rejection:
            return Reply(command_id=named, rejection=rejection)
        except Fatal:
            raise
        except Exception as bug:  # a handler's: its sender gets a reply all the same
            log.exception("command %s: unexpected error", queued.verb)
            do = "see the log of the device"
            fault = CommandRejected(queued.verb, got=type(bug).__name__, wanted="no bug", do=do)
            return Reply(command_id=named, rejection=fault)
        self._cache_reply(queued, reply)
        return reply

    def _cached_reply(self, queued: QueuedCommand) -> Reply | None:
        """The reply to the same command when it was delivered before: it is not executed twice."""
        made_s, reply = self._replies.get(_fingerprint(queued.request), (-REPLY_CACHE_S, None))
        return reply if queued.verb in queued.allowed and self._clock() - made_s < REPLY_CACHE_S else None

    def _cache_reply(self, queued: QueuedCommand, reply: Reply) -> None:
        if reply.command_id is not None or queued.request.correlation is not None:
            kept = replace(reply, result=CommandResult(data=reply.result.data))
            self._replies[_fingerprint(queued.request)] = (self._clock(), kept)


def validate(queued: QueuedCommand, body: Mapping[str, Any]) -> Command:
    """The command, which is valid and allowed. Raises CommandRejected."""
    verb, arguments = queued.verb, COMMANDS.get(queued.verb)
    if arguments is None:
        raise CommandRejected(
            "command", got=_quoted(verb), wanted=f"one of {', '.join(COMMANDS)}", do="correct the name"
        )
    if queued.request.retain:
        do = "clear it with an empty retained message, and send it without the retain flag"
        raise CommandRejected(
            f"command {verb}", got="a retained message", wanted="one that is sent when it is meant", do=do
        )
    if verb not in queued.allowed:
        wanted = f"one of {', '.join(queued.allowed)}" if queued.allowed else "none"
        do = f'add "{verb}" to commands.allow in the configuration of the device'
        raise CommandRejected(f"command {verb}", got="what is not allowed here", wanted=wanted, do=do)
    if not queued.within_limit:
        raise CommandRejected(
            f"command {verb}", got=f"more than {MAX_PENDING} at a time", wanted="fewer", do="send it again, later"
        )
    try:
        return arguments.model_validate(body)
    except ValidationError as exc:
        raise _argument_error(arguments, exc.errors(include_url=False)[0]) from exc


def _argument_error(arguments: type[Command], fault: Any) -> CommandRejected:
    """The rejection of the first argument that is missing, unknown or of a wrong value."""
    name = str(fault["loc"][0])
    known = node_of_schema(arguments.model_json_schema()).children
    got = "nothing" if fault["type"] == "missing" else _quoted(fault["input"])
    if name in known:
        return CommandRejected(
            f"argument {name}", got=got, wanted=known[name].expected, do=f"give {known[name].description}"
        )
    return CommandRejected(f"argument {_quoted(name)}", got=got, wanted=f"one of {', '.join(known)}", do="leave it out")


def _parse_payload(queued: QueuedCommand) -> Mapping[str, Any]:
    """The payload as an object. An empty one is no command: clearing a retained message looks like that."""
    payload = queued.request.payload
    if len(payload) > MAX_PAYLOAD_BYTES:
        got, wanted = f"more than {MAX_PAYLOAD_BYTES} bytes", f"at most {MAX_PAYLOAD_BYTES}"
        raise CommandRejected("payload", got=got, wanted=wanted, do="send the arguments alone")
    if _is_too_long(queued.request.correlation):
        got, wanted = f"more than {MAX_CORRELATION_BYTES} bytes", f"at most {MAX_CORRELATION_BYTES}"
        raise CommandRejected("correlation data", got=got, wanted=wanted, do="shorten it")
    body = foreign_json(payload)
    if not isinstance(body, dict):
        got = _quoted(payload.decode(errors="replace")) if payload else "nothing"
        raise CommandRejected("payload", got=got, wanted="a JSON object", do='send {"NAME": VALUE, …}, or {} at least')
    return body


def _is_too_long(correlation: bytes | None) -> bool:
    return correlation is not None and len(correlation) > MAX_CORRELATION_BYTES


def _command_id(body: Mapping[str, Any]) -> str | None:
    """The sender's id of the command; None where there is none that can be sent back."""
    named = body.get("id")
    return named if isinstance(named, str) and named.isprintable() and len(named) <= 128 else None


def _fingerprint(request: Request) -> tuple[Any, ...]:
    """Equal for two deliveries of one command."""
    return request.path, request.payload, request.correlation, request.retain


def reply_topic(wanted: str | None, root: str, others: Collection[str] = ()) -> Topic | None:
    """Where the sender wants the reply, if it may go there; None: our own reply topic.

    It may go below `root`cmd/, but to no command, and to a topic of `others` or below one. A broker may end the
    connection of a device that writes where it has no right.
    """
    if not wanted or topic_fault(wanted) is not None:
        return None
    own = wanted.startswith(root)
    below_own = wanted.startswith(f"{root}cmd/") and not matches(f"{root}{COMMAND.at(command='+').path}", wanted)
    below_other = not own and any(wanted == other or wanted.startswith(f"{other}/") for other in others)
    return Topic(path=f"/{wanted}", spec=RESULT) if below_own or below_other else None


def _quoted(value: Any) -> str:
    return printable(json.dumps(value), MAX_QUOTED_CHARS)
