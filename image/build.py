#!/usr/bin/env python3
"""Packs the static schemaward binary into an image FROM scratch, without a daemon. Standard library only.

    image/build.py --binary target/x86_64-unknown-linux-gnu/release/schemaward --output target/schemaward-image.tar

The archive is an OCI image layout that is at the same time what `docker load` takes: `ctr images import`, `podman load` and
`skopeo copy oci-archive:` read it as well. Equal input gives equal bytes: all times are SOURCE_DATE_EPOCH, or 0.
"""
import argparse
import gzip
import hashlib
import io
import json
import os
import re
import struct
import sys
import tarfile
import time
from pathlib import Path

USER = 65532  # "nonroot", as the chart runs it
MAX_BYTES = 36_000_000  # unpacked, as a node keeps it; what talks to AWS is 9 MB of it
ARCHITECTURES = {62: "amd64", 183: "arm64"}  # by e_machine of ELF
PROGRAM_INTERPRETER = 3  # PT_INTERP: the header that names a dynamic loader
REPOSITORY_ROOT = Path(__file__).resolve().parent.parent


class Unfit(Exception):
    """The input can't become this image; the text is for a person."""


def main():
    options = parse_arguments()
    try:
        binary = options.binary.read_bytes()
        architecture = static_architecture(binary, options.binary)
        epoch = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
        files = image_archive(binary, architecture, options, epoch)
    except (Unfit, OSError) as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    archive = tar(files, epoch)
    write_whole(options.output, archive)
    print(f"{options.output}: {options.tag}, {architecture}, {len(binary) / 1e6:.1f} MB unpacked, {len(archive) / 1e6:.1f} MB packed")
    return 0


def parse_arguments():
    version = cargo_version()
    parser = argparse.ArgumentParser(description="Packs the static schemaward binary into an image FROM scratch.")
    parser.add_argument("--binary", type=Path, required=True, help="the statically linked schemaward")
    parser.add_argument("--output", type=Path, required=True, help="archive to write")
    parser.add_argument("--tag", default=f"schemaward:{version}", help="NAME:TAG of the image (default: %(default)s)")
    parser.add_argument("--revision", default="", help="commit that the binary was built from, for the label")
    options = parser.parse_args()
    if not re.fullmatch(r"[a-z0-9][a-z0-9._/:-]*:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", options.tag):
        parser.error(f"--tag {options.tag}: not of the form NAME:TAG")
    options.version = version
    return options


def cargo_version():
    found = re.search(r'^version = "([^"]+)"', (REPOSITORY_ROOT / "Cargo.toml").read_text(), re.MULTILINE)
    return found.group(1)


def static_architecture(binary, path):
    """The architecture of a statically linked ELF program. Nothing else starts in an image that holds no loader."""
    if binary[:6] != b"\x7fELF\x02\x01":
        raise Unfit(f"{path} is no 64-bit ELF program for Linux")
    machine = struct.unpack_from("<H", binary, 18)[0]
    if machine not in ARCHITECTURES:
        raise Unfit(f"{path} is for machine type {machine}; known are {', '.join(ARCHITECTURES.values())}")
    offset = struct.unpack_from("<Q", binary, 32)[0]
    size, count = struct.unpack_from("<HH", binary, 54)
    kinds = [struct.unpack_from("<I", binary, offset + n * size)[0] for n in range(count)]
    if PROGRAM_INTERPRETER in kinds:
        raise Unfit(
            f"{path} is dynamically linked and would not start in an image that holds nothing else. "
            "Build it with RUSTFLAGS='-C target-feature=+crt-static' and an explicit --target."
        )
    return ARCHITECTURES[machine]


def image_archive(binary, architecture, options, epoch):
    """Files of the archive, by name: OCI layout, and manifest.json for docker."""
    files = {}

    def blob(content):
        digest = hashlib.sha256(content).hexdigest()
        files[f"blobs/sha256/{digest}"] = (content, 0o644)
        return {"digest": f"sha256:{digest}", "size": len(content)}

    layer = tar(
        {
            "etc/passwd": (f"nonroot:x:{USER}:{USER}:nonroot:/:/none\n".encode(), 0o644),
            "etc/group": (f"nonroot:x:{USER}:\n".encode(), 0o644),
            "schemaward": (binary, 0o755),
        },
        epoch,
    )
    if len(layer) > MAX_BYTES:
        raise Unfit(f"the image would have {len(layer) / 1e6:.1f} MB, more than the {MAX_BYTES / 1e6:.0f} MB that it may have. Is the binary stripped?")
    layer_blob = blob(gzip.compress(layer, 9, mtime=0))
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch))
    config_blob = blob(
        to_json(
            {
                "architecture": architecture,
                "os": "linux",
                "created": created,
                "config": {
                    "User": f"{USER}:{USER}",
                    "Entrypoint": ["/schemaward"],
                    "Env": ["PATH=/"],
                    "WorkingDir": "/",
                    "Labels": labels(options, created),
                },
                "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
                "history": [{"created": created, "created_by": "image/build.py"}],
            }
        )
    )
    manifest_blob = blob(
        to_json(
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **config_blob},
                "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", **layer_blob}],
            }
        )
    )
    index = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [
            {
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                **manifest_blob,
                "platform": {"architecture": architecture, "os": "linux"},
                "annotations": {
                    "io.containerd.image.name": full_name(options.tag),
                    "org.opencontainers.image.ref.name": options.tag.rpartition(":")[2],
                },
            }
        ],
    }
    docker = [{"Config": blob_path(config_blob), "RepoTags": [options.tag], "Layers": [blob_path(layer_blob)]}]
    files["oci-layout"] = (to_json({"imageLayoutVersion": "1.0.0"}), 0o644)
    files["index.json"] = (to_json(index), 0o644)
    files["manifest.json"] = (to_json(docker), 0o644)
    return files


def labels(options, created):
    found = {
        "org.opencontainers.image.title": "schemaward",
        "org.opencontainers.image.description": "Keeps PostgreSQL databases at the schema version that Git says",
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.version": options.version,
        "org.opencontainers.image.created": created,
    }
    if options.revision:
        found["org.opencontainers.image.revision"] = options.revision
    return found


def full_name(tag):
    """The name under which containerd looks for an image that a pod calls by a short one."""
    first, slash, _ = tag.partition("/")
    if slash and ("." in first or ":" in first):
        return tag
    return f"docker.io/{tag}" if slash else f"docker.io/library/{tag}"


def blob_path(blob):
    return "blobs/" + blob["digest"].replace(":", "/")


def to_json(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def tar(files, epoch):
    """A tar of `files` (name to content and mode) with their folders, owned by root, sorted, without anything of this machine."""
    folders = {str(parent) for name in files for parent in Path(name).parents if str(parent) != "."}
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(folders | set(files)):
            entry = tarfile.TarInfo(name)
            entry.mtime = epoch
            if name in folders:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
            else:
                content, entry.mode = files[name]
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return target.getvalue()


def write_whole(path, content):
    """Under its name only when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    partial.replace(path)


if __name__ == "__main__":
    sys.exit(main())
