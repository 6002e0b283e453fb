#!/usr/bin/env python3
"""`parts/get` is safe when two run at once and when one is killed, and says what is missing before it works."""
import os
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

GET = Path(__file__).resolve().parents[2] / "parts" / "get"


class Parts(unittest.TestCase):
    def setUp(self):
        # Below /tmp, where PostgreSQL's unprivileged user can read what root unpacks.
        folder = tempfile.TemporaryDirectory(prefix="schemaward-parts-")
        self.addCleanup(folder.cleanup)
        self.cache = Path(folder.name)
        self.cache.chmod(0o755)
        self.environment = {**os.environ, "SCHEMAWARD_PARTS": folder.name}
        self.environment.pop("SCHEMAWARD_POSTGRES_BIN", None)

    def get(self, *groups, **options):
        return subprocess.Popen([GET, *groups], env=self.environment, text=True, start_new_session=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)

    def parts(self):
        return [entry.name for entry in self.cache.iterdir() if not entry.name.startswith(".")]

    def test_two_at_once(self):
        runs = [self.get("postgres"), self.get("postgres")]
        said = [run.communicate()[0] for run in runs]
        self.assertEqual([run.returncode for run in runs], [0, 0], said)
        self.assertEqual(len(self.parts()), 1)
        # One of them made it, the other waited or found it.
        self.assertEqual(sum(" s\n" in text.replace("waiting\n", "").split("parts:")[0] for text in said), 1, said)

    def test_killed_halfway(self):
        run = self.get("postgres")
        while not list(self.cache.glob(".postgresql-*.partial/bin")):
            self.assertIsNone(run.poll())
            time.sleep(0.002)
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate()
        self.assertEqual(self.parts(), [], "a half part is no part")
        run = self.get("postgres")
        said = run.communicate()[0]
        self.assertEqual(run.returncode, 0, said)
        self.assertTrue((self.cache / self.parts()[0] / "template" / "PG_VERSION").exists())
        self.assertEqual(list(self.cache.glob(".*.partial")), [])

    def test_missing_tools_are_named_first(self):
        with tempfile.TemporaryDirectory() as tools:
            for name in ("bash", "dirname", "id", "cat", "uname", "grep"):
                os.symlink(f"/usr/bin/{name}", f"{tools}/{name}")
            self.environment["PATH"] = tools
            run = self.get("postgres", executable=GET)
            said = run.communicate()[0]
        self.assertEqual(run.returncode, 1, said)
        for tool in ("go:", "python3:", "pip", "cargo:", "make:", "openssl:", "setpriv", "flock"):
            self.assertIn(tool, said)
        self.assertEqual(list(self.cache.iterdir()), [], "nothing was begun")

    def test_own_servers_take_the_place(self):
        self.environment["SCHEMAWARD_POSTGRES_BIN"] = "/nonexistent"
        run = self.get("postgres")
        said = run.communicate()[0]
        self.assertEqual(run.returncode, 1)
        self.assertIn("SCHEMAWARD_POSTGRES_BIN=/nonexistent has no postgres", said)
        self.assertEqual(self.parts(), [])


if __name__ == "__main__":
    unittest.main()
