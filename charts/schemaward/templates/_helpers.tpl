{{- define "schemaward.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Of every object; room is left for the longest suffix, "-leader-election". */}}
{{- define "schemaward.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 47 | trimSuffix "-" }}
{{- else }}
{{- $name := include "schemaward.name" . }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- $full | trunc 47 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "schemaward.selectorLabels" -}}
app.kubernetes.io/name: {{ include "schemaward.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "schemaward.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "schemaward.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "schemaward.serviceAccountName" -}}
{{- default (ternary (include "schemaward.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name }}
{{- end }}

{{- define "schemaward.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- define "schemaward.subjects" -}}
subjects:
- kind: ServiceAccount
  name: {{ include "schemaward.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{/* What the operator does with its own kind and with Events, wherever it watches. No finalizers, so no write to the resource itself. */}}
{{- define "schemaward.ownRules" -}}
- apiGroups: [schemaward.dev]
  resources: [databaseschemas]
  verbs: [get, list, watch]
- apiGroups: [schemaward.dev]
  resources: [databaseschemas/status]
  verbs: [patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{/* The uid of namespace kube-system identifies the cluster in the claim on a database. */}}
{{- define "schemaward.clusterIdRule" -}}
- apiGroups: [""]
  resources: [namespaces]
  resourceNames: [kube-system]
  verbs: [get]
{{- end }}

{{/* Says whether the CustomResourceDefinition is another owner's: another release's, or put in place without Helm. Without a cluster
     (helm template) it is ours. */}}
{{- define "schemaward.foreignCrd" -}}
{{- $live := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" "databaseschemas.schemaward.dev" }}
{{- if $live }}
{{- $notes := default dict $live.metadata.annotations }}
{{- $owner := printf "%s/%s" (get $notes "meta.helm.sh/release-namespace") (get $notes "meta.helm.sh/release-name") }}
{{- if ne $owner (printf "%s/%s" .Release.Namespace .Release.Name) }}
{{- ternary "kubectl" (printf "release %s" $owner) (eq $owner "/") }}
{{- end }}
{{- end }}
{{- end }}

{{- /* What gates may name. */}}
{{- define "schemaward.gateRules" -}}
{{- range .Values.rbac.gateRules }}
- apiGroups: {{ toJson .apiGroups }}
  resources: {{ toJson .resources }}
  verbs: [get]
{{- end }}
{{- end }}
