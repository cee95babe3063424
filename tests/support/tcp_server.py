"""A TCP server of a few lines, for what no real server does."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

LIMIT_S = 60.0  # of a silent client; never reached when all is well


@contextmanager
def tcp_server(answer: Callable[[socket.socket], object]) -> Iterator[int]:
    """The port of a server that gives one connection after another to `answer`, then closes it.

    An OSError in `answer` is a client that left, and ends that connection only.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):  # of accept(), at the end
                while True:
                    connection, _ = listener.accept()
                    connection.settimeout(LIMIT_S)
                    with connection, suppress(OSError):
                        answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # close() alone does not end accept()
            thread.join(LIMIT_S)
