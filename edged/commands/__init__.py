"""The verbs of `edged`, one module each, with `arguments(parser)` and `run(args) -> exit code`."""

from __future__ import annotations

import argparse
import errno
import gc
import io
import os
import sys
import traceback
from importlib import import_module
from types import TracebackType

from edged.errors import ConfigError, EdgedError
from edged.secret_address import redact
from engines.errors import EngineError

MAX_IMAGE_PIXELS = 8192 * 8192  # of a file; OpenCV takes memory for 16 times as many before we see its size
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def run_verb(verb: str, summary: str, words: list[str]) -> int:
    """The exit code of `edged VERB WORDS…`; an expected error is one line on stderr. Raises SystemExit on bad usage."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="namereplace")  # a console without ✓ gets \N{CHECK MARK}
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_IMAGE_PIXELS))  # read once, while cv2 is loaded
    gc.disable()  # imports leave no garbage: looking for it costs a tenth of their time
    module = import_module(f"edged.commands.{verb.replace('-', '_')}")
    gc.enable()
    parser = argparse.ArgumentParser(prog=f"edged {verb}", description=summary)
    module.arguments(parser)
    args = parser.parse_args(words)
    sys.excepthook = _print_traceback
    try:
        code = int(module.run(args))
        sys.stdout.flush()  # a full disk shows here, if the output is short
        return code
    except ConfigError as error:
        print(redact(str(error)), file=sys.stderr)
        return 2
    except (EdgedError, EngineError) as error:
        print(redact(f"edged {verb}: {error}"), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `edged infer … | head`
        sys.stderr.close()
        return 0
    except OSError as error:  # `edged infer … > file`
        if error.errno not in DISK_FULL:
            raise
        target = error.filename or "the output"
        print(f"edged {verb}: {target}: {error.strerror}; free some space and run it again", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # flushing the rest would fail again
        return 1


def _print_traceback(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
    """As Python does, with addresses cut down: a library's error may hold a whole one."""
    print(redact("".join(traceback.format_exception(kind, error, at))), end="", file=sys.stderr)
