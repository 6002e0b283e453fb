# Where the parts lie. Sourced by `get` and `env`, which name PARTS_SOURCE, the folder of this file.
# shellcheck shell=bash
# shellcheck source=versions
. "$PARTS_SOURCE/versions"

POSTGRES_MAJORS="14 15 16 17 18"

# The cache is outside the checkout. Root's own home is closed to the unprivileged user that has to run
# PostgreSQL (its server refuses root), so root's parts go where everybody may read.
if [ -n "${SCHEMAWARD_PARTS:-}" ]; then PARTS=$SCHEMAWARD_PARTS
elif [ "$(id -u)" = 0 ]; then PARTS=/var/cache/schemaward/parts
else PARTS=${XDG_CACHE_HOME:-$HOME/.cache}/schemaward/parts
fi

# A program of our own is named by what it builds on and by its source, so that a change builds it anew.
own_version() { # FOLDER VERSION
  echo "$2-$(cat "$PARTS_SOURCE/$1"/{main.go,go.*} | sha256sum | cut -c1-8)"
}

# NAME-VERSION of a part, which is its folder below $PARTS.
part() {
  local v
  case $1 in
    postgresql-*) v=POSTGRES_${1#postgresql-}; echo "postgresql-${!v}" ;;
    pgbouncer | faketime) echo "$1-$(. /etc/os-release && echo "$ID-${VERSION_ID:-rolling}")" ;;
    etcd) echo "etcd-$ETCD" ;;
    kubectl) echo "kubectl-$KUBECTL" ;;
    helm) echo "helm-$HELM" ;;
    helm-3) echo "helm-$HELM_3" ;;
    kstatus) echo "kstatus-$(own_version kstatus "$KSTATUS")" ;;
    argo-health) echo "argo-health-$(own_version argo-health "$ARGO_CD")" ;;
    actionlint) echo "actionlint-$ACTIONLINT_VERSION" ;;
    moto) echo "moto-$MOTO-$(python3 -c 'import sys; print("python%d.%d" % sys.version_info[:2])')-$(
      sha256sum <"$PARTS_SOURCE/moto/requirements.txt" | cut -c1-8)" ;;
    external-secrets) echo "external-secrets-$EXTERNAL_SECRETS" ;;
    pause) echo "pause-$(own_version pause 1)" ;;
    # the folder that KUBEBUILDER_ASSETS means: links to kube-apiserver, etcd and kubectl
    kube-assets) echo "kube-assets-$KUBERNETES-$ETCD-$KUBECTL" ;;
    kube-*|kubelet) echo "$1-$KUBERNETES" ;;
    *) echo "no part is called $1" >&2; return 1 ;;
  esac
}
