"""Interlaced frames made progressive: FFmpeg's bwdif, one frame behind. Progressive streams pass untouched."""

from __future__ import annotations

from typing import Any

import av


class Deinterlacer:
    """Of one stream; begins to work at its first interlaced frame."""

    def __init__(self) -> None:
        self.active = False
        self._graph: Any = None
        self._shape: tuple[Any, ...] = ()

    def push(self, frame: Any) -> list[Any]:
        """The frames that are ready."""
        if not self.active and not frame.interlaced_frame:
            return [frame]
        self.active = True
        shape = (frame.width, frame.height, frame.format.name, frame.time_base)
        ready = [] if shape == self._shape else self.flush()
        if self._graph is None:
            self._graph, self._shape = _graph(frame), shape
        self._graph.vpush(frame)
        return ready + self._pull()

    def flush(self) -> list[Any]:
        """The frames that are left, at the end of the stream or of a size."""
        if self._graph is None:
            return []
        self._graph.vpush(None)
        ready, self._graph, self._shape = self._pull(), None, ()
        return ready

    def reset(self) -> None:
        """Forget the frames that are left: another part of the stream begins."""
        self._graph, self._shape = None, ()

    def _pull(self) -> list[Any]:
        ready = []
        while True:
            try:
                ready.append(self._graph.vpull())
            except (BlockingIOError, EOFError):
                return ready


def _graph(frame: Any) -> Any:
    graph = av.filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
    graph.link_nodes(source, graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink"))
    graph.configure()
    return graph
