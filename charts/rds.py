"""What charts/check holds of the chart rds-postgres: its values, what it renders, and what it refuses for RDS."""
import copy
import json
import re

from tools import REPOSITORY_ROOT, check_refused, check_table, expect, helm, kubectl, object_faults, schemas, to_json, values, values_files, write_table

CHART = REPOSITORY_ROOT / "charts/rds-postgres"
SCHEMA = CHART / "values.schema.json"
DEFAULT = ["--values", CHART / "ci/default-values.yaml"]
NAMED = ["--values", CHART / "ci/named-external-secrets-values.yaml"]

# Each of these is made in AWS and would go with its object here, were it not for the annotation.
IN_AWS = {"DBInstance", "DBSubnetGroup", "DBParameterGroup", "SecurityGroup", "LogGroup", "Secret"}

# Without these the controller deletes an instance and takes no snapshot.
OF_AN_INSTANCE = ["services.k8s.aws/deletion-policy", "rds.services.k8s.aws/skip-final-snapshot",
                  "rds.services.k8s.aws/final-db-snapshot-identifier", "rds.services.k8s.aws/delete-automated-backups"]

# What the first user's stack says, where RDS takes it.
FIRST_USERS = {
    "dbInstanceIdentifier": "fluxion-postgres-v2", "engine": "postgres", "engineVersion": "16", "dbInstanceClass": "db.t3.small",
    "dbName": "fluxion_production", "port": 5432, "allocatedStorage": 100, "maxAllocatedStorage": 500, "storageType": "gp3",
    "storageEncrypted": True, "backupRetentionPeriod": 7, "preferredBackupWindow": "03:00-04:00", "multiAZ": False,
    "deletionProtection": True, "enableCloudwatchLogsExports": ["postgresql"], "manageMasterUserPassword": True,
}


def over(base, *settings):
    return [*base, *(flag for setting in settings for flag in ("--set-json", setting))]


# Values that must be refused, and the words that say why and what to write.
REFUSED = [
    ([], "network.vpcId is missing: the security group belongs to a VPC. Write the ID of yours"),
    (over(DEFAULT, 'network.subnetIds=["subnet-1"]'), "network.subnetIds names 1: RDS wants subnets in at least two availability zones"),
    (over(DEFAULT, 'instanceClass="t3.small"'), "Write db.t3.small."),
    (over(DEFAULT, 'engineVersion="16.3"'), 'engineVersion 16.3: RDS makes no new instances of minor versions before 16.9. Write "16" for its newest, or "16.11"'),
    (over(DEFAULT, 'engineVersion="17.4"'), 'before 17.5. Write "17" for its newest, or "17.7" or later to pin one'),
    (over(DEFAULT, "engineVersion=16"), "at '/engineVersion': got number, want string"),
    (over(DEFAULT, 'engineVersion="13"'), "at '/engineVersion': '13' does not match pattern"),
    (over(DEFAULT, "storage.iops=3000"), "below 400 GiB RDS for PostgreSQL takes neither, and brings 3000 IOPS and 125 MiB/s. Write 0 for both"),
    (over(DEFAULT, "storage.throughput=200"), "storage.iops 0 and storage.throughput 200 with 100 GiB of gp3"),
    (over(DEFAULT, "storage.allocated=400", "storage.iops=3000"), "from 400 GiB RDS for PostgreSQL brings 12000 IOPS and takes no less. Write 0, or 12000"),
    (over(DEFAULT, "storage.allocated=400", "storage.throughput=125"), "brings 500 MiB/s and takes no less. Write 0, or 500 or more."),
    (over(DEFAULT, 'storage.type="gp2"', "storage.iops=3000"), "storage.iops with gp2: its IOPS follow from its size"),
    (over(DEFAULT, 'storage.type="io1"'), "storage.iops 0 and storage.allocated 100 with io1: provisioned IOPS begin at 1000"),
    (over(DEFAULT, 'storage.type="io2"', "storage.iops=3000", "storage.throughput=200"), "storage.throughput with io2: only gp3 has"),
    (over(DEFAULT, "storage.allocated=500"), "storage.maxAllocated 500 with storage.allocated 500: RDS wants room for a tenth at least. Write 550 or more"),
    (over(DEFAULT, "storage.allocated=10"), "at '/storage/allocated': minimum: got 10, want 20"),
    (over(DEFAULT, "storage.encrypted=false", 'storage.kmsKeyId="arn:aws:kms:eu-central-1:1:key/1"'), "the key would encrypt nothing"),
    (over(DEFAULT, 'storage.kmsKeyId="alias/rds"'), "at '/storage/kmsKeyId'"),
    (over(DEFAULT, 'backup.window="03:00-03:20"'), "backup.window 03:00-03:20 is shorter than 30 minutes"),
    (over(DEFAULT, 'backup.window="3:00-4:00"'), "at '/backup/window'"),
    (over(DEFAULT, "backup.retentionDays=36"), "at '/backup/retentionDays': maximum: got 36, want 35"),
    (over(DEFAULT, 'maintenanceWindow="mon:04:00-mon:04:10"'), "maintenanceWindow mon:04:00-mon:04:10 is shorter than 30 minutes"),
    (over(DEFAULT, 'maintenanceWindow="tue:03:30-tue:05:00"'), "maintenanceWindow tue:03:30-tue:05:00 overlaps backup.window 03:00-04:00"),
    (over(DEFAULT, 'backup.window="23:30-00:30"', 'maintenanceWindow="sun:00:00-sun:01:00"'), "overlaps backup.window 23:30-00:30"),
    (over(DEFAULT, 'backup.window="00:00-00:30"', 'maintenanceWindow="sat:23:30-sun:00:30"'), "overlaps backup.window 00:00-00:30"),
    (over(DEFAULT, "logs.retentionDays=8"), "at '/logs/retentionDays': value must be one of 1, 3, 5, 7"),
    (over(DEFAULT, "allowFrom.wireguard=null", "allowFrom.backend=null", "allowFrom.etl=null"), "allowFrom is empty: nobody could connect"),
    (over(DEFAULT, 'allowFrom.backend.cidr="10.0.0.0/16"'), "allowFrom.backend has 2 of securityGroupId, securityGroup and cidr; it must be one"),
    (over(DEFAULT, 'allowFrom.etl={"securityGroupId": ""}'), "or allowFrom.etl: null if there is no such source"),
    (over(DEFAULT, 'allowFrom.home={"cidr": "0.0.0.0/0"}'), "allowFrom.home.cidr 0.0.0.0/0 lets everybody in"),
    (over(DEFAULT, 'allowFrom.home={"cidr": "::/0"}'), "allowFrom.home.cidr ::/0 lets everybody in"),
    (over(DEFAULT, 'allowFrom.home={"ip": "10.0.0.1"}'), "at '/allowFrom/home': additional properties 'ip' not allowed"),
    (over(DEFAULT, 'parameters={"rds.force_ssl": 1}'), "at '/parameters/rds.force_ssl': got number, want string"),
    (over(DEFAULT, 'credentials.masterUsername="admin"'), "credentials.masterUsername admin: RDS keeps this name for itself"),
    (over(DEFAULT, 'credentials.named.secretName="fluxion/postgres-credentials"'), "RDS gives the secret that it manages a name of its own (rds!db-…)"),
    (over(DEFAULT, 'credentials.mode="Named"'), "credentials.mode Named without credentials.named.secretName. Write the name"),
    (over(NAMED, 'credentials.named.via="ACK"'), "without credentials.named.kubernetesSecret.name"),
    (over(NAMED, 'credentials.named.secretStore.name=""'), "without credentials.named.secretStore.name"),
    (over(NAMED, 'credentials.kmsKeyId="arn:aws:kms:eu-central-1:1:key/1"'), "it would not be used"),
    *[(over(NAMED, f"credentials.named.symbols={json.dumps('-' + wrong)}"), "a master password can't have a slash, a double quote, an at sign or a blank")
      for wrong in '/"@ '],
    (over(NAMED, "credentials.named.length=7"), "at '/credentials/named/length': minimum: got 7, want 8"),
    (over(DEFAULT, 'identifier="Fluxion"'), "at '/identifier': 'Fluxion' does not match pattern"),
    (over(DEFAULT, 'credentials.password="secret"'), "at '/credentials': additional properties 'password' not allowed"),
]

# It looks at a Secret that is there already: tests/it/rds.rs.
ONLY_IN_A_CLUSTER = ["Secret %s, key %s: RDS would refuse this password. It must have 8 to 128 printable ASCII characters, and no slash, double quote, "
                     "at sign or blank. Put another one into the Secret."]


def write():
    write_table(CHART)
    SCHEMA.write_text(with_descriptions())


def with_descriptions():
    """values.schema.json, with the descriptions of values.yaml."""
    schema = json.loads(SCHEMA.read_text())
    for key, description, _ in values(CHART):
        field = schema
        for name in key.split("."):
            field = field["properties"][name]
        field["description"] = description
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def check():
    known = schemas()
    check_table(CHART)
    expect(SCHEMA.read_text() == with_descriptions(), f"{CHART.name}/values.schema.json does not describe what values.yaml does: run charts/check --write")
    check_rendered(known)
    check_examples(known)
    check_refused(CHART, REFUSED, ONLY_IN_A_CLUSTER)


def check_examples(known):
    """Every custom resource in examples/ against its CRD: files as they stand, and with their patches what kustomize makes of a folder."""
    folders = [file.parent for file in sorted((REPOSITORY_ROOT / "examples").rglob("kustomization.yaml"))]
    patches = {folder / name for folder in folders for name in re.findall("^- path: (.*)", (folder / "kustomization.yaml").read_text(), re.MULTILINE)}
    for file in sorted((REPOSITORY_ROOT / "examples").rglob("*.yaml")):
        if file not in patches and re.search("^kind: (?!Kustomization)", file.read_text(), re.MULTILINE):
            check_manifests(file, file.read_text(), known)
    for folder in folders:
        done = kubectl("kustomize", folder)
        expect(done.returncode == 0, f"{folder.relative_to(REPOSITORY_ROOT)}: {done.stderr}")
        check_manifests(folder, done.stdout, known)


def check_manifests(path, text, known):
    """Custom resources alone; Kubernetes' own kinds are in groups without a dot, or below k8s.io without a CRD here."""
    for o in to_json(text):
        group = o["apiVersion"].rpartition("/")[0]
        own = "." not in group or group.endswith(".k8s.io") and (o["apiVersion"], o["kind"]) not in known
        for fault in [] if own else object_faults(o, known):
            expect(False, f"{path.relative_to(REPOSITORY_ROOT)}, {o['kind']} {o['metadata']['name']}: {fault}")


def check_rendered(known):
    kinds = set()
    for file in values_files(CHART):
        lint = helm("lint", "--strict", "--quiet", CHART, "--values", file)
        expect(lint.returncode == 0, f"helm lint with {file.name}: {lint.stdout}{lint.stderr}")
        done = helm("template", "fluxion-db", CHART, "--namespace", "fluxion", "--values", file)
        if done.returncode != 0:
            expect(False, f"{file.name}: {done.stderr.strip()}")
            continue
        objects = to_json(done.stdout)
        kinds |= {o["kind"] for o in objects}
        for o in objects:
            check_object(f"{file.name}, {o['kind']} {o['metadata']['name']}", o, objects, known)
        if file.name == "default-values.yaml":
            instance = next(o["spec"] for o in objects if o["kind"] == "DBInstance")
            seen = {name: instance.get(name) for name in FIRST_USERS}
            expect(seen == FIRST_USERS, f"{file.name}: {seen} is not the first user's {FIRST_USERS}")
            expect("iops" not in instance, f"{file.name}: RDS refuses iops below 400 GiB")
            check_strictness(instance, known)
    for kind in IN_AWS | {"ConfigMap", "FieldExport", "ExternalSecret", "PushSecret", "Password"}:
        expect(kind in kinds, f"no values in ci/ render a {kind}")


def check_object(where, o, objects, known):
    metadata = o["metadata"]
    expect(metadata["namespace"] == "fluxion", f"{where}: is not in the release's namespace")
    expect(metadata["labels"].get("app.kubernetes.io/managed-by") == "Helm", f"{where}: lacks the common labels")
    expect("argocd.argoproj.io/sync-wave" in metadata["annotations"], f"{where}: has no sync wave")
    if o["apiVersion"] != "v1":
        wrong = object_faults(o, known)
        for fault in wrong:
            expect(False, f"{where}: {fault}")
        if wrong:
            return  # what follows relies on the fields
    if o["kind"] in IN_AWS:
        expect("services.k8s.aws/deletion-policy" in metadata["annotations"], f"{where}: nothing says whether it outlives its object")
    if o["kind"] == "DBInstance":
        for annotation in OF_AN_INSTANCE:
            expect(metadata["annotations"].get(annotation), f"{where}: has no annotation {annotation}")
    if o["kind"] == "FieldExport":
        check_export(where, o["spec"], objects)
    if o["kind"] == "PushSecret":
        formats = {data["metadata"]["spec"]["secretPushFormat"] for data in o["spec"]["data"]}
        expect(formats == {"string"}, f"{where}: would write a SecretBinary, which the first user's tasks do not read")
    for kind, name in references(o):
        rendered = any(other["kind"] == kind and other["metadata"]["name"] == name for other in objects)
        expect(rendered, f"{where}: refers to {kind} {name}, which is not rendered")


def references(o):
    """(kind, name) of the chart's own objects that an object names."""
    spec = o.get("spec", {})
    if o["kind"] == "DBInstance":
        yield "DBSubnetGroup", spec["dbSubnetGroupRef"]["from"]["name"]
        yield "DBParameterGroup", spec["dbParameterGroupRef"]["from"]["name"]
        yield from (("SecurityGroup", reference["from"]["name"]) for reference in spec["vpcSecurityGroupRefs"])
    if o["kind"] == "FieldExport":
        yield spec["from"]["resource"]["kind"], spec["from"]["resource"]["name"]
    if o["kind"] == "PushSecret":
        yield "ExternalSecret", spec["selector"]["secret"]["name"]
        yield from (("ConfigMap", source["configMap"]["name"]) for source in spec["template"]["templateFrom"])
    if o["kind"] == "ExternalSecret":
        yield from (("Password", source["sourceRef"]["generatorRef"]["name"]) for source in spec["dataFrom"])


def check_export(where, spec, objects):
    """The ConfigMap is rendered, or the export fails; and without the key, or a sync would put back what was exported."""
    target = next((o for o in objects if o["kind"] == "ConfigMap" and o["metadata"]["name"] == spec["to"]["name"]), None)
    expect(target, f"{where}: no ConfigMap {spec['to']['name']} is rendered, and a FieldExport makes none")
    expect(target and spec["to"]["key"] not in target.get("data", {}), f"{where}: the chart would overwrite {spec['to']['key']}")


def check_strictness(instance, known):
    """The check itself sees a misspelled field, a wrong type and a missing one."""
    for change, words in [
        (lambda spec: spec.update(allocatedstorage=100), ".spec.allocatedstorage: there is no such field"),
        (lambda spec: spec.update(allocatedStorage="100"), ".spec.allocatedStorage: is not of type integer"),
        (lambda spec: spec.pop("engine"), ".spec.engine: is missing"),
        (lambda spec: spec.update(dbSubnetGroupRef={"from": {"kind": "DBSubnetGroup"}}), ".spec.dbSubnetGroupRef.from.kind: there is no such field"),
    ]:
        spec = copy.deepcopy(instance)
        change(spec)
        seen = object_faults({"apiVersion": "rds.services.k8s.aws/v1alpha1", "kind": "DBInstance", "metadata": {}, "spec": spec}, known)
        expect(seen == [words], f"the check of fields does not see {words!r}: {seen}")
