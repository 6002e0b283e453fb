#!/usr/bin/env python3
"""cluster.py DIR CGROUP COMMAND...: inside the namespaces of e2e/node/run, as their first process.

Starts a control plane, containerd, kubelet, kube-proxy and PostgreSQL, runs COMMAND, and ends: with the first
process of a pid namespace the kernel ends all others. Standard library only.
"""
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

HARNESS = Path(__file__).resolve().parents[2] / "tests" / "harness"
sys.path.insert(0, str(HARNESS))
sys.dont_write_bytecode = True
from control_plane import ControlPlane  # noqa: E402
from postgres import Postgres  # noqa: E402
from processes import Failure, Process, make_authority, make_certificate, parts, wait_until  # noqa: E402

NODE, ADDRESS, GATEWAY = "node", "10.77.0.1", "10.77.0.254"
PODS, POSTGRES_PORT = "10.244.0.0/24", 5432
SOCKET = "/run/containerd/containerd.sock"  # the usual one; /run is our own here

# Settings of the whole machine that the kubelet writes: it gets files of ours bound over them.
MACHINE_SETTINGS = {
    "vm/overcommit_memory": 1, "vm/panic_on_oom": 0, "kernel/panic": 10, "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1000000, "kernel/keys/root_maxbytes": 25000000,
}


def main():
    folder, cgroup, command = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the first process of a namespace has no defaults
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # run sends SIGTERM for it
    try:
        begun = time.monotonic()
        isolate(folder)
        where = parts()
        authority = make_authority(folder)
        cluster = Cluster(folder, authority, where)
        cluster.start()  # its servers take seconds; the rest is started beside them
        node = Node(folder, cgroup, where, cluster)
        node.start_containerd()
        postgres = Postgres(folder, authority, where, "16", False, [
            "listen_addresses=*", f"port={POSTGRES_PORT}"], f"DNS:localhost,IP:127.0.0.1,IP:{ADDRESS}")
        postgres.port = POSTGRES_PORT
        postgres.start()
        api = cluster.wait()
        node.join()
        report = postgres.wait()
        print(f"node: a cluster of one Ready node after {time.monotonic() - begun:.1f} s", file=sys.stderr, flush=True)
        return subprocess.run(command, env=environment(folder, where, api, report)).returncode
    except Failure as failure:
        print(f"node: {failure}", file=sys.stderr)
        return 1


def isolate(folder):
    """Makes the namespaces a machine of their own: mounts, loopback, an address, a default route."""
    sh("mount --make-rprivate /")
    sh("mount --make-rshared /")  # within: volumes of pods have to reach their containers
    settings = folder / "settings"
    settings.mkdir(exist_ok=True)
    for name, value in MACHINE_SETTINGS.items():
        target = Path("/proc/sys", name)
        if target.exists():
            file = settings / name.replace("/", ".")
            file.write_text(f"{value}\n")
            sh(f"mount --bind {file} {target}")
    for path in ("/run", "/var/log", "/var/lib/kubelet"):
        sh(f"mount -t tmpfs -o mode=755 tmpfs {path}")
    sh(f"hostname {NODE}")
    sh("ip link set lo up")
    sh("ip link add node0 type veth peer name node1")
    sh(f"ip addr add {ADDRESS}/24 dev node0")
    sh("ip link set node0 up")
    sh("ip link set node1 up")
    sh(f"ip route add default via {GATEWAY} dev node0")  # Service addresses need a route before they are rewritten
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1\n")


class Cluster(ControlPlane):
    """The control plane of the tests, with what a node needs."""

    users = ControlPlane.users | {
        "scheduler": ("system:kube-scheduler", ""),
        "kubelet": (f"system:node:{NODE}", "system:nodes"),
        "proxy": ("system:kube-proxy", ""),
    }
    address = ADDRESS

    def api_server_flags(self):
        client = make_certificate(self.authority, "kubelet-client", "DNS:kubelet-client", "clientAuth",
                                  "/O=system:masters/CN=kube-apiserver-kubelet-client")
        flags = super().api_server_flags() | {
            "bind-address": "0.0.0.0", "advertise-address": ADDRESS, "allow-privileged": "true",
            "enable-admission-plugins": "NodeRestriction", "client-ca-file": self.authority.certificate,
            "kubelet-client-certificate": client.certificate, "kubelet-client-key": client.key,
            "kubelet-certificate-authority": self.authority.certificate,
            "kubelet-preferred-address-types": "InternalIP",
        }
        del flags["endpoint-reconciler-type"]  # pods reach the API server by its Service
        return flags

    def controller_manager_flags(self):
        return super().controller_manager_flags() | {
            "node-monitor-grace-period": "20s",  # a node that is cut off is noticed within a test's patience
        }


class Node:
    """containerd, kubelet and kube-proxy."""

    def __init__(self, folder, cgroup, where, cluster):
        missing = {"KUBE_SCHEDULER", "KUBELET", "KUBE_PROXY", "PAUSE"} - where.keys()
        if missing:
            raise Failure("what the node is made of is not here yet: run `make parts` as root")
        self.folder, self.cgroup, self.where, self.cluster = folder, cgroup, where, cluster

    def start_containerd(self):
        self.make_cgroups()
        self.write_container_settings()
        self.containerd = Process("containerd", ["containerd", "-c", self.folder / "containerd.toml"],
                                  self.folder / "containerd.log")
        wait_until(lambda: run(["ctr", "version"], env=self.environment()), self.containerd, "containerd's start")
        image = self.folder / "pause.tar"
        build = HARNESS.parents[1] / "image" / "build.py"
        run([build, "--binary", self.where["PAUSE"], "--tag", "pause:1", "--output", image], check=True)
        run(["ctr", "images", "import", image], env=self.environment(), check=True)

    def join(self):
        """Once the API server answers: scheduler, kubelet and kube-proxy, until the node is Ready."""
        scheduler = self.cluster.kubeconfig("scheduler")
        self.cluster.launch("kube-scheduler", self.where["KUBE_SCHEDULER"], {
            "kubeconfig": scheduler, "authentication-kubeconfig": scheduler, "authorization-kubeconfig": scheduler,
            "bind-address": "127.0.0.1", "leader-elect": "false"})
        pair = make_certificate(self.cluster.authority, "kubelet", f"IP:{ADDRESS},DNS:{NODE}")
        self.cluster.launch("kubelet", self.where["KUBELET"], {
            "config": self.write("kubelet.json", self.kubelet_settings(pair)), "hostname-override": NODE,
            "kubeconfig": self.cluster.kubeconfig("kubelet"), "node-ip": ADDRESS,
            "root-dir": self.folder / "kubelet", "cert-dir": self.folder / "kubelet" / "pki"})
        self.cluster.launch("kube-proxy", self.where["KUBE_PROXY"], {
            "config": self.write("kube-proxy.json", self.proxy_settings())})
        wait_until(self.ready, self.cluster.processes["kubelet"], "the node's registration")

    def ready(self):
        kubectl = [self.where["KUBECTL"], "--kubeconfig", self.cluster.kubeconfig("admin"), "get", "node", NODE, "-o",
                   "jsonpath={.status.conditions[?(@.type=='Ready')].status}"]
        return subprocess.run(kubectl, capture_output=True, text=True).stdout == "True"

    def environment(self):
        return os.environ | {"CONTAINERD_ADDRESS": SOCKET, "CONTAINERD_NAMESPACE": "k8s.io"}

    def make_cgroups(self):
        """A group for the pods in each hierarchy, whether the machine has version 1, 2 or both."""
        for hierarchy in (Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()):
            if not (hierarchy / "cgroup.procs").exists() or not os.path.ismount(hierarchy):
                continue
            group = hierarchy / self.cgroup
            group.mkdir(exist_ok=True)
            for name in ("cpuset.cpus", "cpuset.mems"):  # version 1 starts these empty, which admits no process
                if (group / name).exists() and (hierarchy / name).exists():
                    (group / name).write_text((hierarchy / name).read_text())

    def write_container_settings(self):
        plugins = next(p for p in ("/usr/lib/cni", "/opt/cni/bin") if Path(p, "bridge").exists())
        networks = self.folder / "networks"
        networks.mkdir(exist_ok=True)
        self.write("networks/10-pods.conflist", {"cniVersion": "0.4.0", "name": "pods", "plugins": [{
            "type": "bridge", "bridge": "pods0", "isGateway": True, "hairpinMode": True,
            "ipam": {"type": "host-local", "dataDir": str(self.folder / "addresses"),
                     "ranges": [[{"subnet": PODS}]], "routes": [{"dst": "0.0.0.0/0"}]}}]})
        # restrict_oom_score_adj and oom_score: a container may not lower what it was given
        (self.folder / "containerd.toml").write_text(f"""\
version = 2
root = "{self.folder}/containerd"
oom_score = 0
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/library/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{networks}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{self.folder}/opt"
""")

    def kubelet_settings(self, pair):
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration", "address": "0.0.0.0",
            "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True},
                               "x509": {"clientCAFile": str(self.cluster.authority.certificate)}},
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(pair.certificate), "tlsPrivateKeyFile": str(pair.key),
            "containerRuntimeEndpoint": f"unix://{SOCKET}",
            "cgroupDriver": "cgroupfs", "cgroupRoot": f"/{self.cgroup}", "failCgroupV1": False, "failSwapOn": False,
            "enforceNodeAllocatable": ["pods"], "evictionHard": {"memory.available": "50Mi"},
            "imageGCHighThresholdPercent": 100,
            # these would write what belongs to the machine
            "oomScoreAdj": 0, "maxOpenFiles": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
            "makeIPTablesUtilChains": False, "protectKernelDefaults": False,
            "clusterDomain": "cluster.local", "resolvConf": "", "podLogsDir": str(self.folder / "pods"),
            "volumePluginDir": str(self.folder / "kubelet" / "plugins"), "nodeStatusUpdateFrequency": "4s",
        }

    def proxy_settings(self):
        return {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", "mode": "nftables",
            "clientConnection": {"kubeconfig": str(self.cluster.kubeconfig("proxy"))}, "hostnameOverride": NODE,
            "clusterCIDR": PODS, "bindAddress": ADDRESS,
            "healthzBindAddress": "127.0.0.1:10256", "metricsBindAddress": "127.0.0.1:10249",
            # 0: leave the machine's own
            "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        }

    def write(self, name, value):
        path = self.folder / name
        path.write_text(json.dumps(value, indent=1))
        return path


def environment(folder, where, api, postgres):
    """What the command finds."""
    programs = [str(Path(path).parent) for path in (api["kubectl"], where["HELM"])] + [postgres["bin"]]
    return os.environ | where | {
        "PATH": ":".join([*programs, os.environ["PATH"]]), "HOME": str(folder), "KUBECONFIG": api["kubeconfig"],
        "NODE_DIR": str(folder), "NODE_ADDRESS": ADDRESS,
        "POSTGRES_HOST": ADDRESS, "POSTGRES_PORT": str(POSTGRES_PORT), "POSTGRES_USER": postgres["user"],
        "POSTGRES_PASSWORD": postgres["password"], "POSTGRES_CA_FILE": postgres["ca"],
        "CONTAINERD_ADDRESS": SOCKET, "CONTAINERD_NAMESPACE": "k8s.io",
    }


def sh(command):
    run(command.split(), check=True)


def run(command, check=False, env=None):
    """Whether a command succeeds; a Failure with its words when it must."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=env)
    if check and done.returncode:
        raise Failure(f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
