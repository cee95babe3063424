"""Commands from the broker: each understood, carried out if it is allowed, and answered, one after the other.

Upstream the bus, which only hands them over. Downstream the deeds, one per verb, and the bus for the answers.
A thread of its own; a flood of commands costs the others that send some, and nobody else.
"""

from __future__ import annotations

import json
import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from typing import Any

from pydantic import ValidationError

from edged.config.schema import node_of_schema
from edged.errors import CommandRejected, Fatal
from edged.foreign_text import printable
from edged.messages import build
from edged.messages.build import HeaderFactory
from edged.messages.bus import Bus, Request
from edged.messages.commands import COMMANDS, Command
from edged.messages.topics import COMMAND, RESULT, Topic
from edged.runtime.threads import SupervisedThread

log = logging.getLogger(__name__)

MAX_PAYLOAD_BYTES = 4096
MAX_PENDING = 16  # commands that wait for their turn; more are answered as too many
MAX_PENDING_REPLIES = 128  # and beyond so many waiting answers there is none
REPLY_GAP_S = 0.02  # between two answers: they share the bus with the poses
REPLY_CACHE_SIZE = 64  # answers kept for commands that are delivered twice
POLL_S = 0.2
JOIN_S = 0.5  # a command that takes longer than the end of everything goes unanswered
MAX_QUOTED_CHARS = 60  # characters of what was got
UNKNOWN_VERB = "unknown"  # stands for a verb that cannot be a topic level of ours


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """What a deed has to say, and what it still does once that is said."""

    data: Mapping[str, Any] = field(default_factory=dict)
    after_reply: Callable[[], None] | None = None


CommandHandler = Callable[[Any], CommandResult]  # takes the validated command; raises `Declined`


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedCommand:
    """A command in the queue."""

    request: Request
    allowed: Collection[str]
    within_limit: bool = True  # no: there were too many before it

    @property
    def verb(self) -> str:
        return self.request.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    command_id: str | None
    result: CommandResult = field(default_factory=CommandResult)
    rejection: CommandRejected | None = None


class CommandDispatcher:
    """Listens once there is something to obey. `root` is <base>/<device>/: no answer is led into what we publish."""

    def __init__(
        self,
        bus: Bus,
        headers: HeaderFactory,
        handlers: Mapping[str, CommandHandler],
        allowed: Collection[str],
        *,
        root: str,
    ) -> None:
        self._bus = bus
        self._headers = headers
        self._handlers = dict(handlers)
        self._root = root
        self._allowed: Collection[str] = ()
        self._listening = False
        self._queue: SimpleQueue[QueuedCommand] = SimpleQueue()
        self._replies: OrderedDict[tuple[Any, ...], Reply] = OrderedDict()
        self._flooded = False
        self._thread = SupervisedThread("commands", self.run_next)
        self.set_allowed(allowed)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """The command at hand is finished, and answered."""
        self._thread.stop()
        self._thread.join(JOIN_S)

    def register(self, verb: str, handler: CommandHandler) -> None:
        """Have `handler` carry out this command. Before `start`."""
        self._handlers[verb] = handler

    def set_allowed(self, verbs: Collection[str]) -> None:
        """What is obeyed from now on."""
        self._allowed = tuple(verbs)
        if verbs and not self._listening:
            self._listening = True
            self._bus.subscribe(COMMAND.at(verb="+"), self.on_request)

    def on_request(self, request: Request) -> None:
        """A command from the broker. Returns at once."""
        waiting = self._queue.qsize()
        self._flooded = self._flooded and waiting > 0
        if waiting < MAX_PENDING_REPLIES:
            request = replace(request, payload=request.payload[: MAX_PAYLOAD_BYTES + 1])
            self._queue.put(QueuedCommand(request=request, allowed=self._allowed, within_limit=waiting < MAX_PENDING))
        elif not self._flooded:
            self._flooded = True
            log.warning(
                "commands: more than %d wait, the next ones go unanswered; see who sends them", MAX_PENDING_REPLIES
            )

    def enqueue(self, verb: str) -> None:
        """A command without arguments from this machine itself, which needs no leave. Signal handlers may call it."""
        request = Request(path=COMMAND.at(verb=verb).path, payload=b"{}", retain=False)
        self._queue.put(QueuedCommand(request=request, allowed=(verb,)))

    def execute(self, queued: QueuedCommand) -> None:
        """Carry it out, or do not; say so either way."""
        answer = self._cached_reply(queued) or self._run_handler(queued)
        verb = queued.verb if re.fullmatch("[a-z0-9-]{1,32}", queued.verb) else UNKNOWN_VERB
        body = build.result(self._headers, verb, answer.command_id, answer.result.data, answer.rejection)
        topic = _reply_topic(queued.request, self._root) or RESULT.at(verb=verb)
        self._bus.publish(topic, body, correlation=queued.request.correlation)
        log.info("command %s: %s", verb, answer.rejection or "done")
        if answer.result.after_reply is not None:
            answer.result.after_reply()

    def run_next(self) -> float:
        """Wait a moment for a command and execute it; the seconds until the next one may begin."""
        try:
            queued = self._queue.get(timeout=POLL_S)
        except Empty:
            return 0.0
        self.execute(queued)
        return REPLY_GAP_S

    def _run_handler(self, order: QueuedCommand) -> Reply:
        named = None
        try:
            body = _parse_payload(order)
            named = _command_id(body)
            command = validate(order, body)
            answer = Reply(command_id=named, result=self._handlers[order.verb](command))
        except CommandRejected as declined:
            return Reply(command_id=named, rejection=declined)
        except Fatal:
            raise
        except Exception as bug:  # of a deed; whoever sent the command is not left without a word
            log.exception("command %s: a bug", order.verb)
            fault = CommandRejected(order.verb, got=type(bug).__name__, wanted="no bug", do="see the log of the box")
            return Reply(command_id=named, rejection=fault)
        self._cache_reply(order, answer)
        return answer

    def _cached_reply(self, order: QueuedCommand) -> Reply | None:
        """The answer to the same command when it was delivered before; nothing is done a second time."""
        return self._replies.get(_fingerprint(order.request))

    def _cache_reply(self, order: QueuedCommand, answer: Reply) -> None:
        if answer.command_id is not None or order.request.correlation is not None:
            self._replies[_fingerprint(order.request)] = replace(answer, result=CommandResult(data=answer.result.data))
            while len(self._replies) > REPLY_CACHE_SIZE:
                self._replies.popitem(last=False)


def validate(queued: QueuedCommand, body: Mapping[str, Any]) -> Command:
    """The command, validated and allowed. Raises `Declined`."""
    verb, arguments = queued.verb, COMMANDS.get(queued.verb)
    if arguments is None:
        raise CommandRejected(
            "command", got=_quoted(verb), wanted=f"one of {', '.join(COMMANDS)}", do="correct the topic"
        )
    if queued.request.retain:
        do = "clear it with an empty retained message, and send it without the retain flag"
        raise CommandRejected(
            f"command {verb}", got="a retained message", wanted="one that is sent when it is meant", do=do
        )
    if verb not in queued.allowed:
        wanted = f"one of {', '.join(queued.allowed)}" if queued.allowed else "none"
        do = f'add "{verb}" to commands.allow in the configuration of the box'
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
    """The first argument that is missing, unknown or no such value."""
    name = str(fault["loc"][0])
    known = node_of_schema(arguments.model_json_schema()).children
    got = "nothing" if fault["type"] == "missing" else _quoted(fault["input"])
    if name in known:
        return CommandRejected(
            f"argument {name}", got=got, wanted=known[name].expected, do=f"give {known[name].description}"
        )
    return CommandRejected(f"argument {_quoted(name)}", got=got, wanted=f"one of {', '.join(known)}", do="leave it out")


def _parse_payload(order: QueuedCommand) -> Mapping[str, Any]:
    """The payload. Nothing at all is no command: clearing a retained one looks like that."""
    payload = order.request.payload
    if len(payload) > MAX_PAYLOAD_BYTES:
        got, wanted = f"more than {MAX_PAYLOAD_BYTES} bytes", f"at most {MAX_PAYLOAD_BYTES}"
        raise CommandRejected("payload", got=got, wanted=wanted, do="send the arguments alone")
    try:
        body = json.loads(payload)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        got = _quoted(payload.decode(errors="replace")) if payload else "nothing"
        raise CommandRejected("payload", got=got, wanted="a JSON object", do='send {"NAME": VALUE, …}, or {} at least')
    return body


def _command_id(body: Mapping[str, Any]) -> str | None:
    """What the sender calls the command, if it can be sent back."""
    named = body.get("id")
    return named if isinstance(named, str) and named.isprintable() and len(named) <= 128 else None


def _fingerprint(request: Request) -> tuple[Any, ...]:
    """What tells a command from all others."""
    return request.path, request.payload, request.correlation, request.retain


def _reply_topic(request: Request, root: str) -> Topic | None:
    """Where the sender wants the answer; None: where we give it. Never among what the box itself publishes."""
    asked = request.response_topic
    if not asked or asked.startswith("$") or re.search("[+#\0]", asked):
        return None
    if asked.startswith(root) and not asked.startswith(f"{root}cmd/"):
        return None
    return Topic(path=f"/{asked}", spec=RESULT)


def _quoted(value: Any) -> str:
    return printable(json.dumps(value), MAX_QUOTED_CHARS)
