"""Commands from the broker: each understood, carried out if it is allowed, and answered, one after the other.

Upstream the bus, which only hands them over. Downstream the deeds, one per verb, and the bus for the answers.
A thread of its own; a flood of commands costs the others that send some, and nobody else.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from typing import Any

from pydantic import ValidationError

from edged.bus import message
from edged.bus.message import Stamps
from edged.bus.topics import COMMAND, RESULT, Topic
from edged.configfile.schema import described
from edged.contract.commands import COMMANDS, Command
from edged.errors import Declined
from edged.ports import Bus, Request

log = logging.getLogger(__name__)

LARGEST_BYTES = 4096
WAITING = 16  # commands that wait for their turn; more are answered as too many
ANSWERED = 128  # and beyond so many waiting answers there is none
GAP_S = 0.02  # between two answers: they share the bus with the poses
REMEMBERED = 64  # answers kept for commands that are delivered twice
LOOK_S = 0.2
JOIN_S = 0.5  # a command that takes longer than the end of everything goes unanswered
SHOWN = 60  # characters of what was got
UNKNOWN = "unknown"  # stands for a verb that cannot be a topic level of ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a deed has to say, and what it still does once that is said."""

    data: Mapping[str, Any] = field(default_factory=dict)
    then: Callable[[], None] | None = None


Deed = Callable[[Any], Done]  # takes the validated command; raises `Declined`


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A command in the queue."""

    request: Request
    allow: Collection[str]
    in_time: bool = True  # no: there were too many before it

    @property
    def verb(self) -> str:
        return self.request.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    command_id: str | None
    done: Done = field(default_factory=Done)
    declined: Declined | None = None


class Control:
    """Listens once there is something to obey. `root` is <base>/<device>/: no answer is led into what we publish."""

    def __init__(
        self, bus: Bus, stamps: Stamps, deeds: Mapping[str, Deed], allow: Collection[str], *, root: str
    ) -> None:
        self._bus = bus
        self._stamps = stamps
        self._deeds = deeds
        self._root = root
        self._allow: Collection[str] = ()
        self._listening = False
        self._orders: SimpleQueue[Order] = SimpleQueue()
        self._answers: OrderedDict[tuple[Any, ...], Answer] = OrderedDict()
        self._flooded = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)
        self.allow(allow)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """The command at hand is finished, and answered."""
        self._closing.set()
        self._thread.join(JOIN_S)

    def allow(self, verbs: Collection[str]) -> None:
        """What is obeyed from now on."""
        self._allow = tuple(verbs)
        if verbs and not self._listening:
            self._listening = True
            self._bus.listen(COMMAND.at(verb="+"), self.take)

    def take(self, request: Request) -> None:
        """A command from the broker. Returns at once."""
        waiting = self._orders.qsize()
        self._flooded = self._flooded and waiting > 0
        if waiting < ANSWERED:
            request = replace(request, payload=request.payload[: LARGEST_BYTES + 1])
            self._orders.put(Order(request=request, allow=self._allow, in_time=waiting < WAITING))
        elif not self._flooded:
            self._flooded = True
            log.warning("commands: more than %d wait, the next ones go unanswered; see who sends them", ANSWERED)

    def order(self, verb: str) -> None:
        """A command without arguments from this machine itself, which needs no leave. Signal handlers may call it."""
        request = Request(path=COMMAND.at(verb=verb).path, payload=b"{}", retain=False)
        self._orders.put(Order(request=request, allow=(verb,)))

    def obey(self, order: Order) -> None:
        """Carry it out, or do not; say so either way."""
        answer = self._known(order) or self._carried_out(order)
        verb = order.verb if re.fullmatch("[a-z0-9-]{1,32}", order.verb) else UNKNOWN
        body = message.result(self._stamps, verb, answer.command_id, answer.done.data, answer.declined)
        topic = _answer_topic(order.request, self._root) or RESULT.at(verb=verb)
        self._bus.publish(topic, body, correlation=order.request.correlation)
        log.info("command %s: %s", verb, answer.declined or "done")
        if answer.done.then is not None:
            answer.done.then()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self.obey(self._orders.get(timeout=LOOK_S))
            except Empty:
                continue
            except Exception:  # this thread's outermost supervisor: the next command may be a better one
                log.exception("commands: a bug")
            self._closing.wait(GAP_S)

    def _carried_out(self, order: Order) -> Answer:
        named = None
        try:
            body = _body(order)
            named = _id(body)
            command = understood(order, body)
            answer = Answer(command_id=named, done=self._deeds[order.verb](command))
        except Declined as declined:
            return Answer(command_id=named, declined=declined)
        except Exception as bug:  # of a deed; whoever sent the command is not left without a word
            log.exception("command %s: a bug", order.verb)
            fault = Declined(order.verb, got=type(bug).__name__, wanted="no bug", do="see the log of the box")
            return Answer(command_id=named, declined=fault)
        self._remember(order, answer)
        return answer

    def _known(self, order: Order) -> Answer | None:
        """The answer to the same command when it was delivered before; nothing is done a second time."""
        return self._answers.get(_mark(order.request))

    def _remember(self, order: Order, answer: Answer) -> None:
        if answer.command_id is not None or order.request.correlation is not None:
            self._answers[_mark(order.request)] = replace(answer, done=Done(data=answer.done.data))
            while len(self._answers) > REMEMBERED:
                self._answers.popitem(last=False)


def understood(order: Order, body: Mapping[str, Any]) -> Command:
    """The command, validated and allowed. Raises `Declined`."""
    verb, arguments = order.verb, COMMANDS.get(order.verb)
    if arguments is None:
        raise Declined("command", got=_shown(verb), wanted=f"one of {', '.join(COMMANDS)}", do="correct the topic")
    if order.request.retain:
        do = "clear it with an empty retained message, and send it without the retain flag"
        raise Declined(f"command {verb}", got="a retained message", wanted="one that is sent when it is meant", do=do)
    if verb not in order.allow:
        wanted = f"one of {', '.join(order.allow)}" if order.allow else "none"
        do = f'add "{verb}" to commands.allow in the configuration of the box'
        raise Declined(f"command {verb}", got="what is not allowed here", wanted=wanted, do=do)
    if not order.in_time:
        raise Declined(
            f"command {verb}", got=f"more than {WAITING} at a time", wanted="fewer", do="send it again, later"
        )
    try:
        return arguments.model_validate(body)
    except ValidationError as exc:
        raise _wrong(arguments, exc.errors(include_url=False)[0]) from exc


def _wrong(arguments: type[Command], fault: Any) -> Declined:
    """The first argument that is missing, unknown or no such value."""
    name = str(fault["loc"][0])
    known = described(arguments.model_json_schema()).children
    got = "nothing" if fault["type"] == "missing" else _shown(fault["input"])
    if name in known:
        return Declined(f"argument {name}", got=got, wanted=known[name].wanted, do=f"give {known[name].description}")
    return Declined(f"argument {_shown(name)}", got=got, wanted=f"one of {', '.join(known)}", do="leave it out")


def _body(order: Order) -> Mapping[str, Any]:
    """The payload. Nothing at all is no command: clearing a retained one looks like that."""
    payload = order.request.payload
    if len(payload) > LARGEST_BYTES:
        got, wanted = f"more than {LARGEST_BYTES} bytes", f"at most {LARGEST_BYTES}"
        raise Declined("payload", got=got, wanted=wanted, do="send the arguments alone")
    try:
        body = json.loads(payload)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        got = _shown(payload.decode(errors="replace")) if payload else "nothing"
        raise Declined("payload", got=got, wanted="a JSON object", do='send {"NAME": VALUE, …}, or {} at least')
    return body


def _id(body: Mapping[str, Any]) -> str | None:
    """What the sender calls the command, if it can be sent back."""
    named = body.get("id")
    return named if isinstance(named, str) and named.isprintable() and len(named) <= 128 else None


def _mark(request: Request) -> tuple[Any, ...]:
    """What tells a command from all others."""
    return request.path, request.payload, request.correlation, request.retain


def _answer_topic(request: Request, root: str) -> Topic | None:
    """Where the sender wants the answer; None: where we give it. Never among what the box itself publishes."""
    asked = request.response_topic
    if not asked or asked.startswith("$") or re.search("[+#\0]", asked):
        return None
    if asked.startswith(root) and not asked.startswith(f"{root}cmd/"):
        return None
    return Topic(path=f"/{asked}", channel=RESULT)


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
