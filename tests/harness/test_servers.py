#!/usr/bin/env python3
"""The supervisor leaves no process and no folder behind, whatever ends it or its parent."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

SERVERS = Path(__file__).resolve().parent / "servers"

# A parent as a test binary is one: it holds the supervisor's standard input and does nothing about signals.
PARENT = """
import signal, subprocess, sys, time
# What runs these tests in the background ignores SIGINT, and that is inherited.
signal.signal(signal.SIGINT, signal.SIG_DFL)
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
print(child.pid, child.stdout.readline(), end="", flush=True)
time.sleep(600)
"""


class Servers(unittest.TestCase):
    def started(self, *flags):
        """A parent in a group of its own, as a terminal's job is; its supervisor's process id and report."""
        parent = subprocess.Popen([sys.executable, "-c", PARENT, str(SERVERS), *flags],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True)
        self.addCleanup(parent.stdout.close)
        pid, report = parent.stdout.readline().split(" ", 1)
        report = json.loads(report)
        self.assertNotIn("error", report)
        folder = report["folder"]
        self.assertGreaterEqual(len(processes_of(folder)), 1 if flags[0] == "--postgres" else 3)
        return parent, int(pid), folder

    def assert_gone(self, folder, with_folder=True):
        end = time.monotonic() + 10
        while processes_of(folder) or (with_folder and os.path.exists(folder)):
            self.assertLess(time.monotonic(), end, f"left: {processes_of(folder)}, {folder}: {os.path.exists(folder)}")
            time.sleep(0.05)

    def test_interrupt_at_the_terminal(self):
        parent, _, folder = self.started("--api", "--postgres", "16")
        os.killpg(parent.pid, signal.SIGINT)
        parent.wait()
        self.assert_gone(folder)

    def test_parent_killed(self):
        parent, _, folder = self.started("--postgres", "16")
        parent.kill()
        parent.wait()
        self.assert_gone(folder)

    def test_signals_to_the_supervisor(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            with self.subTest(number):
                parent, pid, folder = self.started("--postgres", "16")
                os.kill(pid, number)
                self.assert_gone(folder)
                parent.kill()
                parent.wait()

    def test_supervisor_killed(self):
        parent, pid, folder = self.started("--api", "--postgres", "16")
        os.kill(pid, signal.SIGKILL)
        self.assert_gone(folder, with_folder=False)
        parent.kill()
        parent.wait()
        # The folder goes with the next start.
        parent, _, _ = self.started("--postgres", "16")
        self.assertFalse(os.path.exists(folder))
        parent.kill()
        parent.wait()

    def test_killed_while_it_starts(self):
        before = folders()
        parent = subprocess.Popen([sys.executable, "-c", PARENT, str(SERVERS), "--api"],
                                  stdout=subprocess.PIPE, start_new_session=True)
        while not (new := folders() - before):
            time.sleep(0.01)
        folder = str(new.pop())
        while not processes_of(folder):
            time.sleep(0.01)
        parent.kill()
        parent.wait()
        parent.stdout.close()
        self.assert_gone(folder)

    def test_commands(self):
        child = subprocess.Popen([SERVERS, "--postgres", "16", "--control"],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        report = json.loads(child.stdout.readline())

        def say(line):
            print(line, file=child.stdin, flush=True)
            return json.loads(child.stdout.readline())

        self.assertFalse(say("postgres start")["ok"])
        for mode in ("smart", "fast", "immediate"):
            self.assertTrue(say(f"postgres stop {mode}")["ok"])
            self.assertTrue(say("postgres start")["ok"])
        self.assertTrue(say("postgres restart")["ok"])
        self.assertFalse(say("postgres stop never")["ok"])
        self.assertFalse(say("mysql stop")["ok"])
        child.communicate()
        self.assertEqual(child.returncode, 0)
        self.assertFalse(os.path.exists(report["folder"]))

    def test_what_is_missing_is_said(self):
        for flags in (["--api"], ["--postgres", "16"]):
            child = subprocess.Popen([SERVERS, *flags], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE,
                                     env={"PATH": os.environ["PATH"], "SCHEMAWARD_PARTS": "/nonexistent"})
            self.assertEqual(child.wait(), 1)
            self.assertIn("make parts", json.loads(child.communicate()[0])["error"])


def folders():
    return set(Path(tempfile.gettempdir()).glob("schemaward-servers-*"))


def processes_of(folder):
    """The processes that have the folder in their command line, or their working folder in it."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if folder.encode() in (entry / "cmdline").read_bytes() or os.readlink(entry / "cwd").startswith(folder):
                    found.append((int(entry.name), (entry / "cmdline").read_bytes().replace(b"\0", b" ")[:80]))
            except OSError:
                pass  # ended meanwhile, or another user's
    return found


if __name__ == "__main__":
    unittest.main()
