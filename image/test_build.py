"""python3 -m unittest discover -s image"""
import hashlib
import io
import json
import os
import struct
import subprocess
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path

BUILD = Path(__file__).resolve().parent / "build.py"


def elf(*program_headers, machine=62):
    """The smallest file that build.py takes for a program: an ELF header and program headers of these kinds."""
    header = b"\x7fELF\x02\x01" + bytes(10) + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0, 64, 0, 0, 64, 56, len(program_headers), 0, 0, 0)
    return header + b"".join(struct.pack("<I", kind) + bytes(52) for kind in program_headers)


class Build(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.output = self.folder / "image.tar"

    def build(self, binary, *arguments, **environment):
        path = self.folder / "schemaward"
        path.write_bytes(binary)
        return subprocess.run(
            [sys.executable, BUILD, "--binary", path, "--output", self.output, *arguments],
            capture_output=True,
            text=True,
            env={**os.environ, **environment},
        )

    def content(self):
        with tarfile.open(self.output) as archive:
            return {entry.name: archive.extractfile(entry).read() for entry in archive if entry.isfile()}

    def refused(self, binary, words):
        done = self.build(binary)
        self.assertEqual(done.returncode, 1, done)
        self.assertIn(words, done.stderr)
        self.assertFalse(self.output.exists())

    def test_runs_one_file_as_nonroot(self):
        done = self.build(elf(1), "--tag", "team/schemaward:1", "--revision", "abc")
        self.assertEqual(done.returncode, 0, done)
        files = self.content()
        for name, content in files.items():
            if name.startswith("blobs/"):
                self.assertEqual(name.rpartition("/")[2], hashlib.sha256(content).hexdigest())
        (docker,) = json.loads(files["manifest.json"])
        config = json.loads(files[docker["Config"]])
        self.assertEqual(docker["RepoTags"], ["team/schemaward:1"])
        self.assertEqual(config["architecture"], "amd64")
        self.assertEqual(config["config"]["User"], "65532:65532")
        self.assertEqual(config["config"]["Entrypoint"], ["/schemaward"])
        self.assertEqual(config["config"]["Labels"]["org.opencontainers.image.revision"], "abc")
        with tarfile.open(fileobj=io.BytesIO(files[docker["Layers"][0]])) as layer:
            self.assertEqual(layer.getnames(), ["etc", "etc/group", "etc/passwd", "schemaward"])
            self.assertEqual(layer.getmember("schemaward").mode, 0o755)
            self.assertEqual(layer.extractfile("schemaward").read(), elf(1))

    def test_docker_and_oci_name_the_same_blobs(self):
        self.build(elf(1))
        files = self.content()
        (docker,) = json.loads(files["manifest.json"])
        (entry,) = json.loads(files["index.json"])["manifests"]
        manifest = json.loads(files["blobs/" + entry["digest"].replace(":", "/")])
        self.assertEqual("blobs/" + manifest["config"]["digest"].replace(":", "/"), docker["Config"])
        self.assertEqual("blobs/" + manifest["layers"][0]["digest"].replace(":", "/"), docker["Layers"][0])

    def test_equal_input_gives_equal_bytes(self):
        self.build(elf(1))
        first = self.output.read_bytes()
        self.build(elf(1))
        self.assertEqual(first, self.output.read_bytes())
        self.build(elf(1), SOURCE_DATE_EPOCH="1700000000")
        self.assertNotEqual(first, self.output.read_bytes())

    def test_refuses_what_would_not_start(self):
        self.refused(elf(1, 3), "dynamically linked")
        self.refused(elf(1, machine=8), "machine type 8")
        self.refused(b"#!/bin/sh\n", "no 64-bit ELF program")

    def test_refuses_what_is_too_large(self):
        self.refused(elf(1) + bytes(36_000_000), "more than the 36 MB")


if __name__ == "__main__":
    unittest.main()
