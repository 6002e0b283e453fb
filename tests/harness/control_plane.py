"""etcd, kube-apiserver and kube-controller-manager: an API server that behaves as in a cluster, without nodes."""
import json
import shutil
import signal
from pathlib import Path

from processes import Failure, Process, answers, free_port, https_get, make_certificate, openssl, secret, wait_until

ISSUER = "https://kubernetes.default.svc.cluster.local"
NAMES = "IP:127.0.0.1,IP:10.96.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"


class ControlPlane:
    # who has a token and a kubeconfig: user name and groups
    users = {
        "admin": ("admin", "system:masters"),
        "controller-manager": ("system:kube-controller-manager", ""),
        "deployer": ("pipeline", "fluxion-deploy"),  # as an EKS access entry makes of a role in AWS
    }
    # the address that others reach the API server at
    address = "127.0.0.1"

    def __init__(self, folder, authority, where):
        missing = {"KUBEBUILDER_ASSETS", "KUBE_CONTROLLER_MANAGER"} - where.keys()
        if missing:
            raise Failure("there is no Kubernetes API server here yet: run `make parts`")
        self.assets, self.manager = Path(where["KUBEBUILDER_ASSETS"]), where["KUBE_CONTROLLER_MANAGER"]
        self.folder, self.authority = folder / "kubernetes", authority
        self.folder.mkdir()
        self.port, self.tokens = free_port(), {name: secret() for name in self.users}
        self.processes = {}
        self.controls = {"kube-apiserver": self.control, "etcd": self.control_etcd}

    def start(self):
        self.write_keys()
        self.start_etcd()
        self.start_api_server()

    def wait(self):
        api = self.processes["kube-apiserver"]
        wait_until(lambda: self.get("/readyz") == 200, api, "kube-apiserver's start")
        self.start_controller_manager()
        # Its controllers run when the first ServiceAccount is there.
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        wait_until(lambda: self.get(account) == 200, self.processes["kube-controller-manager"], "kube-controller-manager's start")
        return {
            "url": self.url(), "kubeconfig": str(self.kubeconfig("admin")),
            "deployer": str(self.kubeconfig("deployer")), "token": self.tokens["admin"],
            "ca": str(self.authority.certificate), "kubectl": str(self.assets / "kubectl"), "log": str(api.log),
        }

    def check(self):
        for process in self.processes.values():
            process.check()

    def kill(self):
        """Nothing in them is worth a graceful end."""
        for process in self.processes.values():
            process.asked_to_stop = True
            process.child.kill()
        for process in self.processes.values():
            process.child.wait()

    def control(self, verb):
        api = self.processes["kube-apiserver"]
        if verb == "stop":
            api.stop(signal.SIGKILL, 10)
        elif verb == "start":
            if api.child.poll() is None:
                raise Failure("kube-apiserver runs already")
            self.start_api_server()
            wait_until(lambda: self.get("/readyz") == 200, self.processes["kube-apiserver"], "kube-apiserver's start")
        else:
            raise ValueError(verb)

    def control_etcd(self, verb):
        """`save` and `restore` keep and bring back all that it stores; they are for the time when it is stopped."""
        etcd, data, saved = self.processes["etcd"], self.folder / "etcd", self.folder / "etcd-saved"
        if verb == "stop":
            etcd.stop(signal.SIGKILL, 10)
        elif etcd.child.poll() is None:
            raise Failure("etcd runs")
        elif verb == "start":
            self.launch_etcd()
        elif verb == "save":
            shutil.copytree(data, saved)
        elif verb == "restore":
            shutil.rmtree(data)
            shutil.copytree(saved, data)
        else:
            raise ValueError(verb)

    # ---- how ----

    def write_keys(self):
        self.pair = make_certificate(self.authority, "kube-apiserver", f"{NAMES},IP:{self.address}")
        # Tokens of ServiceAccounts are signed and checked with a real key pair, as in a cluster.
        self.account_key, self.account_public = self.folder / "accounts.key", self.folder / "accounts.pub"
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.account_key)
        openssl("pkey", "-in", self.account_key, "-pubout", "-out", self.account_public)
        self.token_file = self.folder / "tokens.csv"
        private(self.token_file, "".join(
            f'{self.tokens[name]},{user},{name},"{groups}"\n' for name, (user, groups) in self.users.items()))
        for name in self.users:
            self.write_kubeconfig(name)

    def url(self):
        return f"https://{self.address}:{self.port}"

    def kubeconfig(self, name):
        return self.folder / f"{name}.kubeconfig"

    def write_kubeconfig(self, name):
        cluster = {"server": self.url(), "certificate-authority": str(self.authority.certificate)}
        private(self.kubeconfig(name), json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": name, "user": {"token": self.tokens[name]}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name, "namespace": "default"}}],
        }))

    def start_etcd(self):
        self.etcd_port, self.etcd_peer_port = free_port(), free_port()
        self.launch_etcd()

    def launch_etcd(self):
        clients, peers = f"http://127.0.0.1:{self.etcd_port}", f"http://127.0.0.1:{self.etcd_peer_port}"
        self.launch("etcd", self.assets / "etcd", {
            "name": "test", "data-dir": self.folder / "etcd", "unsafe-no-fsync": "true", "log-level": "warn",
            "listen-client-urls": clients, "advertise-client-urls": clients,
            "listen-peer-urls": peers, "initial-advertise-peer-urls": peers, "initial-cluster": f"test={peers}",
        })
        # An API server that comes before etcd waits a second before it tries again.
        wait_until(lambda: answers(self.etcd_port), self.processes["etcd"], "etcd's start")

    def start_api_server(self):
        self.launch("kube-apiserver", self.assets / "kube-apiserver", self.api_server_flags())

    def api_server_flags(self):
        return {
            "etcd-servers": f"http://127.0.0.1:{self.etcd_port}",
            "bind-address": "127.0.0.1", "advertise-address": "127.0.0.1", "secure-port": self.port,
            "tls-cert-file": self.pair.certificate, "tls-private-key-file": self.pair.key,
            "token-auth-file": self.token_file, "authorization-mode": "Node,RBAC",
            "service-cluster-ip-range": "10.96.0.0/16", "service-account-issuer": ISSUER,
            "service-account-key-file": self.account_public, "service-account-signing-key-file": self.account_key,
            "endpoint-reconciler-type": "none",  # it refuses loopback addresses
        }

    def start_controller_manager(self):
        self.launch("kube-controller-manager", self.manager, self.controller_manager_flags())

    def controller_manager_flags(self):
        kubeconfig = self.kubeconfig("controller-manager")
        return {
            "kubeconfig": kubeconfig, "authentication-kubeconfig": kubeconfig, "authorization-kubeconfig": kubeconfig,
            "bind-address": "127.0.0.1", "secure-port": 0, "leader-elect": "false",
            "use-service-account-credentials": "true", "service-account-private-key-file": self.account_key,
            "root-ca-file": self.authority.certificate,
            "kube-api-qps": 1000, "kube-api-burst": 1000,  # its 20 a second would delay the first ServiceAccount by 4 s
        }

    def launch(self, name, program, flags):
        arguments = [program, *(f"--{flag}={value}" for flag, value in flags.items())]
        self.processes[name] = Process(name, arguments, self.folder / f"{name}.log")

    def get(self, path):
        return https_get(self.port, self.authority, path, self.tokens["admin"])


def private(path, text):
    path.touch(mode=0o600)
    path.write_text(text)
