"""The command line: option errors read like errors in a file, Ctrl-C ends, a verb imports only what it needs."""

from __future__ import annotations

import io
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edged.__main__ import VERBS, main
from edged.capture.sources.frame_converter import MAX_PIXELS
from engines.errors import NoTensorRT

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--port", "99999"], "command line --port = 99999: must be 1..65535; lower it\n"),
        (
            ["--host", "broker:1883"],
            'command line --host = "broker:1883": must be a host name or address alone, IPv6 without '
            "brackets; the port goes to mqtt.port, TLS to [mqtt.tls]\n",
        ),
        (["--password-file", "latin-1"], "--password-file latin-1: not UTF-8; save it as UTF-8 text\n"),
        (
            ["--password-file", "secret"],
            "command line --password-file: password must come with a username; give mqtt.username too\n",
        ),
    ],
    ids=["port", "host", "no text", "no user"],
)
def test_invalid_broker_option_is_reported(
    options: list[str],
    error: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("latin-1").write_bytes(b"p\xe4ss\n")
    Path("secret").write_text("hunter2\n")
    assert main(["watch", *options]) == 2
    assert capsys.readouterr().err == error


def test_sighup_before_the_daemon_has_read_its_files_does_not_end_it() -> None:
    code = "import os, signal, sys; import edged.__main__ as entry; sys.argv = ['edged', 'run']; "
    code += "entry.main = lambda: os.kill(os.getpid(), signal.SIGHUP) or 0; entry.entry()"
    done = subprocess.run([sys.executable, "-c", code], check=False, stdin=subprocess.DEVNULL, timeout=60)
    assert done.returncode == 0


@pytest.mark.parametrize("words", [["watch", "--for", "1e99"], ["send", "diagnose", "--within", "nan"]])
def test_invalid_duration_is_reported(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        main(words)
    assert exited.value.code == 2
    assert "want a number of seconds above 0" in capsys.readouterr().err


def test_unwritable_contract_directory_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["contract", "write", str(tmp_path / "file")]) == 1
    assert capsys.readouterr().err.endswith("file: File exists; name a directory that can be written\n")


def test_missing_engine_store_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engines", "list", "--store", str(tmp_path / "no")]) == 2
    assert capsys.readouterr().err.endswith("no such folder; want one that `edged engines build --store` filled\n")


def test_ascii_console_gets_character_names(monkeypatch: pytest.MonkeyPatch) -> None:
    console = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", console)
    assert main(["config", "reference"]) == 0
    console.seek(0)
    assert "\\N{DEGREE SIGN}C" in console.read()


HANGS = """
import hashlib, signal
from edged.commands.interrupts import exit_on_interrupt
signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs the tests in the background ignores it
with exit_on_interrupt():
    print("hangs", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)  # minutes in C, as a library that waits for a camera
"""


def test_ctrl_c_does_not_wait_for_a_library_that_hangs() -> None:
    with subprocess.Popen([sys.executable, "-c", HANGS], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"hangs\n"
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == -signal.SIGINT
        finally:
            process.kill()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("words", [["config", "reference"], ["check", "configs/demo.toml"]], ids=["long", "short"])
def test_full_output_is_reported_without_traceback(words: list[str]) -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "edged", *words]
        done = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    error = f"edged {words[0]}: the output: No space left on device; free some space and run it again\n"
    assert (done.returncode, done.stderr) == (1, error)


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"], ids=["output", "all"])
def test_closed_streams_are_as_good_as_the_null_device(closed: str) -> None:
    command = f"{shlex.quote(sys.executable)} -m edged check configs/demo.toml {closed}"
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("words", "unbuffered"),
    [
        (["--help"], ""),
        (["--help"], "1"),
        (["check", "--help"], ""),
    ],  # unbuffered argparse hides it
    ids=["help", "unbuffered help", "help of a verb"],
)
@pytest.mark.parametrize(
    ("to", "code", "error"),
    [("/dev/full", 1, "the output: No space left on device"), ("", 0, "")],
    ids=["full disk", "nobody reads"],
)
def test_help_that_cannot_be_written_is_no_traceback(
    words: list[str], unbuffered: str, to: str, code: int, error: str
) -> None:
    reader, pipe = os.pipe()
    os.close(reader)
    with open(to or pipe, "w") as out:
        command, env = [sys.executable, "-m", "edged", *words], {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        done = subprocess.run(command, cwd=ROOT, stdout=out, stderr=subprocess.PIPE, text=True, check=False, env=env)
    if to:
        os.close(pipe)
    assert (done.returncode, error in done.stderr, "Error" in done.stderr) == (code, True, False), done.stderr


LOADED = """
import sys
before = set(sys.modules)  # an editable install brings some at the start of the interpreter
from edged.__main__ import main
from engines.errors import NoTensorRT
main(sys.argv[2:])
loaded = (set(sys.modules) - before) & set(sys.argv[1].split(","))
print(*sorted(loaded), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("words", "without"),
    [
        pytest.param(["--help"], "argparse,pydantic,numpy,logging,typing,pathlib", id="help"),
        pytest.param(["check", "configs/demo.toml"], "numpy,cv2,onnxruntime,rich,paho,psutil,asyncio", id="check"),
        pytest.param(["config", "reference"], "numpy,cv2,onnxruntime,rich,paho,psutil,asyncio", id="config"),
        pytest.param(["send", "--help"], "cv2,onnxruntime,rich", id="send"),
        pytest.param(["run", "--help"], "rich", id="run"),
    ],
)
def test_verb_imports_only_what_it_needs(words: list[str], without: str) -> None:
    command = [sys.executable, "-c", LOADED, without, *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr.strip()) == (0, "")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        main([verb, "--help"])
    assert exited.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: edged {verb} ")


@pytest.mark.parametrize("words", [[], ["runn"], ["--verbose"]])
def test_unknown_verb_lists_the_verbs(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert "want one of run, infer, " in capsys.readouterr().err


def test_images_beyond_our_limit_are_refused_before_they_take_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENCV_IO_MAX_IMAGE_PIXELS", raising=False)
    assert main(["contract", "reference"]) == 0
    assert os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] == str(MAX_PIXELS)


def test_empty_list_of_engines_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(flavour: str) -> None:
        raise NoTensorRT("tensorrt cannot be imported")

    monkeypatch.setattr("edged.commands.engines.find_tensorrt", missing)
    assert main(["engines", "list", "--store", str(tmp_path)]) == 0
    assert "none can be built here: tensorrt cannot be imported; until then" in capsys.readouterr().out
    monkeypatch.setattr("edged.commands.engines.find_tensorrt", lambda flavour: None)
    assert main(["engines", "list", "--store", str(tmp_path)]) == 0
    assert "`edged engines build` makes them" in capsys.readouterr().out
    assert main(["engines", "list", "--store", str(tmp_path), "--json"]) == 0
    assert capsys.readouterr().out == "[]\n"
