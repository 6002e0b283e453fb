"""One PostgreSQL: initialised from the template that `parts/get` made, scram passwords, TLS and plain."""
import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path

from processes import Failure, Process, child_environment, free_port, make_certificate, secret, wait_until

STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}

# Members of the role tls_only have to come over TLS; everybody else may choose.
HBA = """\
hostnossl all +tls_only all reject
host all all all scram-sha-256
host replication all all scram-sha-256
"""


class Postgres:
    def __init__(self, folder, authority, where, major, fsync, settings, host_names="DNS:localhost,IP:127.0.0.1", standby_of=None):
        # The variable without a number means 16 and may be the user's own; it goes first for 16.
        names = ["SCHEMAWARD_POSTGRES_BIN"] if major == "16" else []
        names.append(f"SCHEMAWARD_POSTGRES_BIN_{major}")
        self.bin = next((Path(where[n]) for n in names if n in where), None)
        if self.bin is None:
            raise Failure(f"there is no PostgreSQL {major} here yet: run `make parts`")
        self.data, self.log = folder / "postgres", folder / "postgres.log"
        self.major, self.port, self.password = major, free_port(), secret()
        self.authority, self.user, self.process = authority, unprivileged_user(), None
        self.certificate_names, self.standby_of = host_names, standby_of
        self.settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "port": str(self.port),
            "max_connections": "200",
            "log_line_prefix": "%m %p %a ",
            "ssl": "on",
            "ssl_cert_file": "server.crt",
            "ssl_key_file": "server.key",
            "fsync": "on" if fsync else "off",
            "synchronous_commit": "on" if fsync else "off",
            "full_page_writes": "on" if fsync else "off",
            **dict(s.split("=", 1) for s in settings),
        }
        self.controls = {"postgres": self.control}

    def start(self):
        self.initialise()
        self.launch()

    def wait(self):
        wait_until(self.accepts, self.process, "PostgreSQL's start")
        return {
            "host": "127.0.0.1", "tls_host": "localhost", "port": self.port, "user": "postgres",
            "password": self.password, "ca": str(self.authority.certificate), "major": int(self.major),
            "bin": str(self.bin), "log": str(self.log), "data": str(self.data),
        }

    def check(self):
        self.process.check()

    def kill(self):
        """Immediate shutdown: the postmaster ends its children and frees its shared memory."""
        if self.process:
            self.process.stop(signal.SIGQUIT, 5)

    def control(self, verb, mode="fast"):
        if verb in ("stop", "restart"):
            if not self.process.stop(STOP_SIGNALS[mode], 60):
                raise Failure(f"PostgreSQL did not stop in mode {mode} within 60 s and was killed")
        if verb in ("start", "restart"):
            if self.process.child.poll() is None:
                raise Failure("PostgreSQL runs already")
            self.launch()
            self.wait()
        elif verb != "stop":
            raise ValueError(verb)

    # ---- how ----

    def initialise(self):
        template = self.bin.parent / "template"
        if self.standby_of:
            run(None, "cp", "-a", self.standby_of, self.data)
            (self.data / "standby.signal").touch()
        elif template.is_dir():
            run(None, "cp", "-a", template, self.data)
        else:
            self.data.mkdir(mode=0o700)
            self.give(self.data)
            run(self.user, self.bin / "initdb", "-D", self.data, "-U", "postgres", "-E", "UTF8",
                "--locale", "C.UTF-8", "--auth", "trust", "--no-sync")
        (self.data / "pg_hba.conf").write_text(HBA)
        with open(self.data / "postgresql.conf", "a") as conf:
            conf.writelines(f"{name} = '{value}'\n" for name, value in self.settings.items())
        pair = make_certificate(self.authority, "postgres", self.certificate_names)
        for source, name in ((pair.certificate, "server.crt"), (pair.key, "server.key")):
            shutil.copy(source, self.data / name)
            (self.data / name).chmod(0o600)
            self.give(self.data / name)
        if self.standby_of:
            return  # the primary's passwords
        # Before anybody can connect: a password of this run alone.
        run(self.user, self.bin / "postgres", "--single", "-D", self.data, "postgres",
            text=f"ALTER ROLE postgres PASSWORD '{self.password}'\nCREATE ROLE tls_only\n")

    def launch(self):
        self.process = Process("PostgreSQL", [self.bin / "postgres", "-D", self.data], self.log, self.user)

    def accepts(self):
        return subprocess.run([self.bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)],
                              env=child_environment()).returncode == 0

    def give(self, path):
        if self.user:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)


def unprivileged_user():
    """The server refuses root: a system user then, and None (ourselves) otherwise."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Failure("PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody")


def run(user, *command, text=None):
    as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--"] if user else []
    done = subprocess.run([*as_user, *map(str, command)], capture_output=True, text=True, input=text or "",
                          cwd="/", env=child_environment())
    if done.returncode:
        raise Failure(f"{Path(command[0]).name} failed: {done.stdout}{done.stderr}")
