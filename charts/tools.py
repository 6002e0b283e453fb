"""What charts/check needs for every chart: programs, the README's table of values, and schemas of custom resources."""
import json
import os
import re
import shlex
import subprocess
from pathlib import Path

REPOSITORY_ROOT = Path(__file__).resolve().parent.parent
CRD_FOLDERS = [REPOSITORY_ROOT / "tests/data/crds", REPOSITORY_ROOT / "crds"]
TABLE_START, TABLE_END = "<!-- values: charts/check --write -->\n", "<!-- end of values -->\n"

failures = []


def expect(true, failure):
    if not true:
        failures.append(failure)


# ---- programs --------------------------------------------------------------------------------------------


def parts():
    """Where helm and kubectl are, by variable."""
    lines = subprocess.run([REPOSITORY_ROOT / "parts/env"], capture_output=True, text=True, check=True).stdout.splitlines()
    return dict(shlex.split(line)[1].split("=", 1) for line in lines)


PARTS = parts()


def helm(*arguments):
    return subprocess.run([PARTS["HELM"], *arguments], capture_output=True, text=True)


def kubectl(*arguments, text=""):
    environment = {**os.environ, "KUBECONFIG": os.devnull}
    return subprocess.run([PARTS["KUBECTL"], *arguments], input=text, capture_output=True, text=True, env=environment)


def to_json(manifests):
    """Objects of a YAML text. --local keeps kubectl from looking for a cluster."""
    done = kubectl("annotate", "--local", "--filename", "-", "--output", "json", "checked=true", text=manifests)
    if done.returncode != 0:
        raise RuntimeError(f"kubectl: {done.stderr}")
    objects, decoder, rest = [], json.JSONDecoder(), done.stdout.strip()
    while rest:
        found, end = decoder.raw_decode(rest)
        objects.append(found)
        rest = rest[end:].lstrip()
    return objects


# ---- a chart's values ------------------------------------------------------------------------------------


def values_files(chart):
    return sorted((chart / "ci").glob("*-values.yaml"))


def check_table(chart):
    readme = (chart / "README.md").read_text()
    expect(readme == with_table(chart, readme), f"{chart.name}/README.md does not say what values.yaml says: run charts/check --write")


def write_table(chart):
    readme = chart / "README.md"
    readme.write_text(with_table(chart, readme.read_text()))


def with_table(chart, readme):
    before, _, rest = readme.partition(TABLE_START)
    after = rest.partition(TABLE_END)[2]
    rows = "".join(f"| `{key}` | {description} | {default} |\n" for key, description, default in table_rows(chart))
    return f"{before}{TABLE_START}| value | what it does | default |\n|---|---|---|\n{rows}{TABLE_END}{after}"


def table_rows(chart):
    for key, description, default in values(chart):
        yield key, description.replace("|", "\\|"), f"`{default}`" if default else "see values.yaml"


def values(chart):
    """(key, description, default) of each value in values.yaml: `# -- ` starts a description, the next key is what it describes."""
    path, described, description = [], [], None
    for number, line in enumerate((chart / "values.yaml").read_text().splitlines(), 1):
        comment = re.fullmatch(r"\s*# (-- )?(.*)", line)
        key = re.fullmatch(r"( *)([A-Za-z]+):(?: (.*))?", line)
        if comment and comment[1]:
            description = comment[2]
        elif comment and description:
            description += " " + comment[2]
        elif key:
            depth = len(key[1]) // 2
            path[depth:] = [key[2]]
            if description:
                described.append((".".join(path), description, key[3]))
            elif key[3]:
                inside = any(".".join(path).startswith(known + ".") for known, _, _ in described)
                expect(inside, f"{chart.name}/values.yaml line {number}: {'.'.join(path)} has no description (# -- …)")
            description = None
    return described


def check_refused(chart, cases, only_in_a_cluster=()):
    """Each case, (flags, words), is refused with these words; and every sentence of validate.yaml is the answer to one."""
    said = ""
    for flags, words in cases:
        done = helm("template", "checked", chart, *flags)
        expect(done.returncode != 0, f"{chart.name} {flags}: is not refused")
        expect(words in done.stderr, f"{chart.name} {flags}: refused without the words {words!r}: {done.stderr.strip()}")
        said += done.stderr
    template = (chart / "templates/validate.yaml").read_text()
    for sentence in re.findall(r'\bfail (?:\(printf )?"((?:[^"\\]|\\.)*)"', template):
        if sentence not in only_in_a_cluster:
            pattern = ".*".join(re.escape(part.replace('\\"', '"')) for part in re.split("%[ds]", sentence))
            expect(re.search(pattern, said), f"{chart.name}: nothing shows when it says {sentence!r}")


# ---- custom resources against their CRDs -----------------------------------------------------------------


def schemas():
    """The schema of each custom resource that we hold the CRD of, by apiVersion and kind."""
    found = {}
    for file in (file for folder in CRD_FOLDERS for file in sorted(folder.glob("*.yaml"))):
        for crd in to_json(file.read_text()):
            spec = crd["spec"]
            for version in spec["versions"]:
                if version["served"]:
                    found[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = version["schema"]["openAPIV3Schema"]
    return found


def faults(value, schema, path=""):
    """What of a value is not as the schema says. Strict: a field that is not in the schema is a fault, where the API server would drop it."""
    if schema.get("x-kubernetes-int-or-string"):
        if not isinstance(value, (int, str)):
            yield f"{path}: is neither a number nor a text"
        return
    kind = schema.get("type")
    wanted = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool}.get(kind, object)
    if not isinstance(value, wanted) or kind in ("integer", "number") and isinstance(value, bool):
        yield f"{path}: is not of type {kind}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r} is none of {schema['enum']}"
    if isinstance(value, str):
        if "pattern" in schema and not re.search(schema["pattern"], value):
            yield f"{path}: {value!r} does not match {schema['pattern']}"
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
            yield f"{path}: {len(value)} characters are too few or too many"
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from faults(item, schema.get("items", {}), f"{path}[{number}]")
    elif isinstance(value, dict):
        yield from faults_of_fields(value, schema, path)


def faults_of_fields(value, schema, path):
    known, others = schema.get("properties", {}), schema.get("additionalProperties")
    for name in schema.get("required", []):
        if name not in value:
            yield f"{path}.{name}: is missing"
    for name, field in value.items():
        if name in known:
            yield from faults(field, known[name], f"{path}.{name}")
        elif isinstance(others, dict):
            yield from faults(field, others, f"{path}.{name}")
        elif not others and not schema.get("x-kubernetes-preserve-unknown-fields"):
            yield f"{path}.{name}: there is no such field"


def object_faults(o, known):
    """The faults of a whole custom resource; of its metadata only the API server knows."""
    schema = known.get((o["apiVersion"], o["kind"]))
    if schema is None:
        return [f"no CRD of {o['apiVersion']} {o['kind']} is in {CRD_FOLDERS[0].name}"]
    own = {"apiVersion": {}, "kind": {}, "metadata": {"x-kubernetes-preserve-unknown-fields": True}}
    fields = {**schema, "properties": {**schema["properties"], **own}}
    return list(faults(o, fields))
