"""What the servers have in common: child processes, ports, certificates, waiting."""
import http.client
import os
import secrets
import shlex
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

START_LIMIT = 120  # seconds; far above what a busy machine needs, below what a person waits


class Failure(Exception):
    """A sentence for the person who runs the tests."""


def parts():
    """The variables that `parts/env` prints."""
    program = Path(__file__).resolve().parents[2] / "parts" / "env"
    printed = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    words = (shlex.split(line)[1] for line in printed.splitlines())
    return dict(word.split("=", 1) for word in words)


class Process:
    """A server: its log, its start, its end. Ends with us, even when we are killed."""

    def __init__(self, name, arguments, log, user=None):
        self.name, self.log, self.asked_to_stop = name, Path(log), False
        # setpriv: the kernel kills the child when its parent, this process, is gone. It sets that after the
        # user id, whose change would clear it.
        command = ["setpriv", "--pdeathsig", "KILL"]
        if user:
            command += [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        with open(self.log, "a") as out:
            self.child = subprocess.Popen(
                [*command, "--", *map(str, arguments)],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/", env=child_environment(),
            )

    def check(self):
        """Fails when the server has ended unasked."""
        code = self.child.poll()
        if code is not None and not self.asked_to_stop:
            last = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
            raise Failure(f"{self.name} ended with {code}; the end of its log:\n{last}")

    def stop(self, number, limit):
        """Sends a signal and waits; after `limit` seconds SIGKILL. Returns whether that was not needed."""
        self.asked_to_stop = True
        if self.child.poll() is None:
            self.child.send_signal(number)
            try:
                self.child.wait(limit)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
                return False
        return True

    def kill(self):
        self.stop(signal.SIGKILL, START_LIMIT)


def child_environment():
    """Nothing of the developer's own settings reaches a server."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def wait_until(condition, process, what):
    """Polls until `condition()` is true; the end of the process or the limit is a Failure."""
    end = time.monotonic() + START_LIMIT
    while not condition():
        process.check()
        if time.monotonic() > end:
            raise Failure(f"{what} took longer than {START_LIMIT} s; see {process.log}")
        time.sleep(0.02)


def free_port():
    """A loopback port that nobody gets by chance before our server binds it.

    A connection is made and closed from the server's side, which leaves the port in TIME_WAIT: the kernel does
    not hand it out for a minute, and a server that asks for it by number (with SO_REUSEADDR, as all do) gets it.
    """
    with socket.socket() as server, socket.socket() as client:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", 0))
        server.listen(1)
        client.connect(server.getsockname())
        accepted, _ = server.accept()
        accepted.close()
        client.recv(1)
        return server.getsockname()[1]


def answers(port):
    """Whether somebody accepts connections on a loopback port."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def https_get(port, authority, path, token):
    """The status code of a GET on a loopback server, None when there is no answer."""
    context = ssl.create_default_context(cafile=authority.certificate)
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=context)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


# ---- certificates ----------------------------------------------------------------------------------------


def make_authority(folder):
    """A certificate authority of this run alone, in DIR/pki."""
    pki = folder / "pki"
    pki.mkdir(mode=0o755)
    authority = SimpleNamespace(folder=pki, certificate=pki / "ca.crt", key=pki / "ca.key")
    openssl("req", "-x509", *NEW_KEY, "-keyout", authority.key, "-out", authority.certificate,
            "-days", "30", "-subj", "/CN=Schemaward test servers")
    authority.certificate.chmod(0o644)
    return authority


def make_certificate(authority, name, names, usage="serverAuth", subject=None):
    """A key and a certificate for the given subject alternative names; the paths of both."""
    key, certificate = authority.folder / f"{name}.key", authority.folder / f"{name}.crt"
    request, extensions = authority.folder / f"{name}.csr", authority.folder / f"{name}.ext"
    extensions.write_text(f"extendedKeyUsage={usage}\nsubjectAltName={names}\n")
    openssl("req", "-new", *NEW_KEY, "-keyout", key, "-out", request, "-subj", subject or f"/CN={name}")
    openssl("x509", "-req", "-in", request, "-CA", authority.certificate, "-CAkey", authority.key,
            "-CAcreateserial", "-days", "30", "-extfile", extensions, "-out", certificate)
    return SimpleNamespace(key=key, certificate=certificate)


NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"openssl {arguments[0]} failed: {done.stderr}")


def secret():
    return secrets.token_hex(16)
