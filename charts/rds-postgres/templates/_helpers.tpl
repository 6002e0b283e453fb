{{- define "rds-postgres.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* What every object in AWS bears: whether it outlives the object here, and the order that Argo CD applies them in. Called with (root, wave). */}}
{{- define "rds-postgres.annotations" -}}
{{- $root := index . 0 -}}
argocd.argoproj.io/sync-wave: {{ index . 1 | quote }}
services.k8s.aws/deletion-policy: {{ $root.Values.deletion.policy }}
{{- with $root.Values.region }}
services.k8s.aws/region: {{ . }}
{{- end }}
{{- end }}

{{/* As most services take them: a list of key and value. */}}
{{- define "rds-postgres.tags" -}}
{{- with .Values.tags -}}
tags:
{{- range $key, $value := . }}
- key: {{ $key | quote }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "rds-postgres.configMap" -}}
{{- default (printf "%s-connection" .Values.identifier) .Values.configMap }}
{{- end }}

{{/* A major version has a parameter group of its own, so that an upgrade finds one that fits. */}}
{{- define "rds-postgres.family" -}}
postgres{{ splitList "." .Values.engineVersion | first }}
{{- end }}

{{- define "rds-postgres.parameterGroup" -}}
{{ .Values.identifier }}-{{ include "rds-postgres.family" . }}
{{- end }}

{{/* The Secret that holds the master's password, of a secret that we name. */}}
{{- define "rds-postgres.masterSecret" -}}
{{- if eq .Values.credentials.named.via "ACK" }}
{{- .Values.credentials.named.kubernetesSecret.name }}
{{- else }}
{{- .Values.identifier }}-master
{{- end }}
{{- end }}

{{- define "rds-postgres.masterPasswordKey" -}}
{{- eq .Values.credentials.named.via "ACK" | ternary .Values.credentials.named.kubernetesSecret.passwordKey "password" }}
{{- end }}

{{/* Minutes since midnight of "HH:MM". */}}
{{- define "rds-postgres.minutes" -}}
{{- $parts := splitList ":" . }}
{{- add (mul 60 (index $parts 0 | trimPrefix "0" | int)) (index $parts 1 | trimPrefix "0" | int) }}
{{- end }}

{{/* Minutes since Sunday of "ddd:HH:MM". */}}
{{- define "rds-postgres.minutesOfWeek" -}}
{{- $day := dict "sun" 0 "mon" 1 "tue" 2 "wed" 3 "thu" 4 "fri" 5 "sat" 6 }}
{{- add (mul 1440 (get $day (substr 0 3 .))) (include "rds-postgres.minutes" (substr 4 9 .) | int) }}
{{- end }}
