"""Real servers for docs/check: a folder as a user has it, an empty database and, if wanted, a Kubernetes API server."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/harness"))
sys.dont_write_bytecode = True
from processes import parts  # noqa: E402

PROGRAM = Path(os.environ.get("SCHEMAWARD_BIN", ROOT / "target/debug/schemaward"))
SESSION_LIMIT = 240  # seconds
PASSWORD = "change-me"  # as the example's Secret has it


class Playground:
    """Everything is gone when the `with` ends."""

    def __init__(self, with_api):
        self.folder = Path(tempfile.mkdtemp(prefix="schemaward-docs-"))
        self.folder.chmod(0o755)
        self.ended, self.operator = threading.Event(), None
        self.servers = subprocess.Popen(
            [ROOT / "tests/harness/servers", "--postgres", "16", *(["--api"] if with_api else [])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        report = json.loads(self.servers.stdout.readline())
        if "error" in report:
            sys.exit(f"docs/check: {report['error']}")
        self.environment = {"PATH": f"{self.folder}/.bin:{os.environ['PATH']}", "HOME": str(self.folder), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        self.link_programs()
        for name in ("migrations", "examples", "charts", "crds", "tests/data/crds"):
            shutil.copytree(ROOT / name, self.folder / name)
        self.make_database(report["postgres"])
        self.lead_the_example_to(report["postgres"])
        if with_api:
            self.environment["KUBECONFIG"] = report["api"]["kubeconfig"]

    def link_programs(self):
        where = parts()
        programs = {"schemaward": PROGRAM, "psql": Path(where["SCHEMAWARD_POSTGRES_BIN"], "psql"),
                    "kubectl": where.get("KUBECTL"), "helm": where.get("HELM"), "serve-crds": ROOT / "docs/serve-crds"}
        (self.folder / ".bin").mkdir()
        for name, program in programs.items():
            if program:
                (self.folder / ".bin" / name).symlink_to(program)

    def make_database(self, server):
        self.environment |= {"PGHOST": server["host"], "PGPORT": str(server["port"]), "PGPASSWORD": server["password"]}
        for sql in (f"CREATE ROLE fluxion LOGIN PASSWORD '{PASSWORD}'", "CREATE DATABASE fluxion_production OWNER fluxion",
                    # What the master of a managed server is: no superuser.
                    f"CREATE ROLE master LOGIN CREATEROLE CREATEDB PASSWORD '{PASSWORD}'"):
            self.call("psql", "-qX", "-U", "postgres", "-d", "postgres", "-c", sql)
        for name, value in (("HOST", server["host"]), ("PORT", str(server["port"])), ("USER", "fluxion"), ("PASSWORD", PASSWORD)):
            self.environment[f"PG{name}"] = self.environment[f"POSTGRES_{name}"] = value
        self.environment["PGDATABASE"] = self.environment["POSTGRES_DB"] = "fluxion_production"

    def lead_the_example_to(self, server):
        shutil.copy(server["ca"], self.folder / "global-bundle.pem")
        example = self.folder / "examples/fluxion/databaseschema.yaml"
        text = example.read_text().replace("postgres.example.com", server["tls_host"])
        example.write_text(text.replace("{value: 5432}", f"{{value: {server['port']}}}"))

    def call(self, *command, text="", check=True):
        """Runs one program in the folder."""
        done = subprocess.run(command, cwd=self.folder, env=self.environment, input=text, capture_output=True, text=True)
        if check and done.returncode:
            sys.exit(f"docs/check: {' '.join(command)}: {done.stderr}")
        return done

    def start_operator(self):
        """Runs the operator once the chart's ServiceAccount is there, with its token, as its pod would."""
        while not self.ended.wait(0.2):
            token = self.call("kubectl", "-n", "schemaward", "create", "token", "schemaward", check=False).stdout.strip()
            if token and not self.ended.is_set():
                config = self.folder / ".operator"
                cluster = json.loads(Path(self.environment["KUBECONFIG"]).read_text())
                cluster["users"][0]["user"] = {"token": token}
                config.write_text(json.dumps(cluster))
                environment = {"PATH": os.environ["PATH"], "KUBECONFIG": str(config), "POD_NAMESPACE": "schemaward", "POD_NAME": "schemaward-0"}
                with open(self.folder / ".operator.log", "w") as log:
                    self.operator = subprocess.Popen([PROGRAM, "run", "--http-address", "127.0.0.1:0", "--allow-loopback"], env=environment,
                                                     stdin=subprocess.DEVNULL, stdout=log, stderr=log)
                return

    def __enter__(self):
        self.waiting = threading.Thread(target=self.start_operator) if "KUBECONFIG" in self.environment else None
        if self.waiting:
            self.waiting.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        if self.waiting:
            self.waiting.join()
        if self.operator:
            self.operator.terminate()
            self.operator.wait()
        self.servers.stdin.close()
        self.servers.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def shell(script, folder, environment):
    """What a script prints; it is ended when it takes too long."""
    with tempfile.TemporaryFile("w+") as printed, tempfile.NamedTemporaryFile("w", suffix=".sh") as file:
        file.write(script)
        file.flush()
        child = subprocess.Popen(["bash", file.name], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                                 stdout=printed, stderr=printed, start_new_session=True)
        try:
            child.wait(SESSION_LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        printed.seek(0)
        return printed.read()
