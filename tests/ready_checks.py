"""Checks of exported models from a process that has TensorFlow already: its loading is most of a check.

Each check still is a process of its own, with nothing but TensorFlow, that runs the same script: a fork of
one that has only loaded TensorFlow. It runs graphs as they are saved: to make them faster takes a third of
such a check, which runs them once. Run as a script, this file is that process.
"""

import atexit
import json
import os
import runpy
import subprocess
import sys
import threading
from importlib import import_module


class Popen(subprocess.Popen):
    """Any process, but for those of `SelfCheck`."""

    def __new__(cls, command=(), *arguments, **options):
        is_check = len(command) == 5 and os.path.basename(command[2]) == "standalone_check.py"
        return _Check(command, **options) if is_check else super().__new__(cls)


class _Check:
    """A process that begins when it is told to go."""

    def __init__(self, command, *, env, cwd, **_pipes):
        self._asked = {"command": command[2:4], "environment": env, "folder": os.fspath(cwd)}
        self.returncode = None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def kill(self):
        pass

    def communicate(self, line, timeout):
        assert line == "go\n"
        answer = _server().ask(self._asked)
        self.returncode = answer["code"]
        return answer["stdout"], answer["stderr"]


class _Server:
    def __init__(self):
        self.pid = os.getpid()
        self._lock = threading.Lock()
        script = import_module("tfautolabel.export.standalone_check").__file__
        self._process = subprocess.Popen(
            [sys.executable, "-I", __file__, script],
            env={"PATH": os.environ.get("PATH", ""), "HOME": "/nonexistent"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        atexit.register(self._end)

    def _end(self):
        if os.getpid() == self.pid:
            self._process.kill()
            self._process.wait()

    def ask(self, asked):
        with self._lock:
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())


_servers = []


def _server():
    """One for each process that runs tests."""
    if not _servers or _servers[-1].pid != os.getpid():
        _servers.append(_Server())
    return _servers[-1]


def _answer(asked):
    """Runs one check in a fork."""
    names = [os.path.join(asked["folder"], name) for name in ("said", "failed")]
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            for number, name in enumerate(names, 1):
                os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            os.chdir(asked["folder"])
            os.environ.clear()
            os.environ.update(asked["environment"])
            sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
            sys.argv = asked["command"]
            runpy.run_path(sys.argv[0], run_name="__main__")
            code = 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    said = []
    for name in names:
        with open(name, encoding="utf-8", errors="replace") as file:
            said.append(file.read())
        os.unlink(name)
    return {"code": os.waitstatus_to_exitcode(status), "stdout": said[0], "stderr": said[1]}


if __name__ == "__main__":
    script = runpy.run_path(sys.argv[1], run_name="script")
    script["_end_with_the_caller"]()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    refuse = script["_Refuse"]({*script["FORBIDDEN"], *script["OPTIONAL"].values()})
    sys.meta_path.insert(0, refuse)
    tensorflow = import_module("tensorflow")
    sys.meta_path.remove(refuse)
    tensorflow.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for request in sys.stdin:
        answers.write(json.dumps(_answer(json.loads(request))) + "\n")
        answers.flush()
