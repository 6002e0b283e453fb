#!/usr/bin/env python3
"""Fills in what the demo's repository needs beside the example.

    prepare.py REPOSITORY HOST PORT CA_FILE PASSWORD     the first commit
    prepare.py --add VERSION NAME REPOSITORY             list one more version
    prepare.py --kubeconfig KUBECONFIG                   the same cluster, with the token on standard input
"""
import json
import shutil
import sys
from pathlib import Path

FIRST_LINE_AFTER_VERSIONS = "  source:\n"


def main():
    if sys.argv[1] == "--add":
        add(sys.argv[2], sys.argv[3], Path(sys.argv[4]))
    elif sys.argv[1] == "--kubeconfig":
        config = json.loads(Path(sys.argv[2]).read_text())
        config["users"][0]["user"] = {"token": sys.stdin.read().strip()}
        print(json.dumps(config))
    else:
        first(Path(sys.argv[1]), *sys.argv[2:])


def first(repository, host, port, ca_file, password):
    connection = {"host": {"value": host}, "port": {"value": int(port)}}
    write(repository / "connection.yaml", patch("DatabaseSchema", "fluxion", {"spec": {"connection": connection}}))
    write(repository / "secret.yaml", {**patch("Secret", "fluxion-db", {}), "stringData": {"username": "fluxion", "password": password}})
    shutil.copy(ca_file, repository / "global-bundle.pem")
    # The same resource for another database, and without leave to go back.
    text = (repository / "examples/fluxion/databaseschema.yaml").read_text()
    replaced = [("name: fluxion\n", "name: fluxion-staging\n"), ("fluxion_production", "fluxion_staging"), ("policy: Allow", "policy: Deny"),
                ("postgres.example.com", host), ("value: 5432", f"value: {port}")]
    for old, new in replaced:
        assert old in text, f"the example no longer says {old!r}"
        text = text.replace(old, new, 1)
    (repository / "staging.yaml").write_text(text)


def add(version, name, repository):
    for manifest in ("examples/fluxion/databaseschema.yaml", "staging.yaml"):
        file = repository / manifest
        line = f'  - version: "{version}"\n    name: {name}\n'
        file.write_text(file.read_text().replace(FIRST_LINE_AFTER_VERSIONS, line + FIRST_LINE_AFTER_VERSIONS, 1))
    generator = repository / "migrations/kustomization.yaml"
    text = generator.read_text()
    last = max(line for line in text.splitlines() if line.strip().startswith("- ") and line.endswith(".sql"))
    indent = last[: last.index("-")]
    more = "".join(f"{indent}- {version}_{name}_{way}.sql\n" for way in ("DOWN", "UP"))
    generator.write_text(text.replace(last + "\n", last + "\n" + more, 1))


def patch(kind, name, content):
    version = "v1" if kind == "Secret" else "schemaward.dev/v1alpha1"
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **content}


def write(file, content):
    file.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
