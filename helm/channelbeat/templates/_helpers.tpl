{{/* Names, labels, and what follows from several values at once. */}}

{{- define "channelbeat.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "channelbeat.fullname" -}}
{{- $name := include "channelbeat.name" . }}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride }}
{{- else if contains $name .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* Of cluster-wide objects: two releases of one name in two namespaces must not meet. */}}
{{- define "channelbeat.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "channelbeat.fullname" .) }}
{{- end }}

{{- define "channelbeat.selector" -}}
app.kubernetes.io/name: {{ include "channelbeat.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{/* Of everything; ours win. A key that stood there twice would be refused. */}}
{{- define "channelbeat.labels" -}}
{{- $ours := include "channelbeat.selector" . | fromYaml }}
{{- $_ := set $ours "app.kubernetes.io/version" .Chart.AppVersion }}
{{- $_ := set $ours "app.kubernetes.io/managed-by" .Release.Service }}
{{- $_ := set $ours "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") }}
{{- merge $ours .Values.commonLabels | toYaml }}
{{- end }}

{{- define "channelbeat.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "channelbeat.fullname" .) }}
{{- end }}

{{- define "channelbeat.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* Whether the operator makes Deployments: "true" or nothing. Who writes a pod template has to be asked for his own rights, or be trusted. */}}
{{- define "channelbeat.makesWorkers" -}}
{{- if and .Values.workers.create (or .Values.admissionPolicy.install .Values.workers.trustAuthors) }}true{{ end }}
{{- end }}

{{/* What --layers reads. Its files stand beside it, in the same volume, so that all of them change at once. */}}
{{- define "channelbeat.layers" -}}
{{- range $name, $layer := .Values.layers }}
{{ $name | quote }}:
  urlFile: {{ printf "secrets/%s/url" $name | quote }}
  {{- if $layer.encryptionKeysSecret }}
  encryptionKeysFile: {{ printf "secrets/%s/keys" $name | quote }}
  {{- end }}
  {{- with omit $layer "existingSecret" "encryptionKeysSecret" }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Of a length of time, as in 1m30s. */}}
{{- define "channelbeat.milliseconds" -}}
{{- $sum := 0 }}
{{- range regexFindAll "[0-9]+(ms|h|m|s)" . -1 }}
{{- $unit := regexFind "[a-z]+$" . }}
{{- $sum = add $sum (mul (trimSuffix $unit . | int64) (get (dict "h" 3600000 "m" 60000 "s" 1000 "ms" 1) $unit)) }}
{{- end }}
{{- $sum }}
{{- end }}

{{/* Values that contradict each other, each with its cure. */}}
{{- define "channelbeat.check" -}}
{{- $values := .Values }}
{{- if not .Values.layers }}
{{- fail "\n\nlayers is empty, so no schedule could send anything: put the URL of your Redis into a Secret and name it,\n  kubectl create secret generic redis --namespace NAMESPACE --from-literal=url=redis://HOST:6379/0\n  helm ... --set layers.default.existingSecret.name=redis\n" }}
{{- end }}
{{- if and .Values.workers.trustAuthors (not .Values.workers.create) }}
{{- fail "\n\nworkers.trustAuthors lets the operator make Deployments, and workers.create=false forbids it: take one of them back\n" }}
{{- end }}
{{- if and .Values.workers.trustAuthors .Values.admissionPolicy.install }}
{{- fail "\n\nworkers.trustAuthors is for a release without the admission policy, and admissionPolicy.install is true: take trustAuthors back (recommended), or set admissionPolicy.install=false\n" }}
{{- end }}
{{- if not (or .Values.serviceAccount.create .Values.serviceAccount.name) }}
{{- fail "\n\nserviceAccount.create=false needs serviceAccount.name: without it the rights would go to the ServiceAccount `default`, and so to any pod in this namespace\n" }}
{{- end }}
{{- if and .Values.serviceMonitor.create (not .Values.service.create) }}
{{- fail "\n\nserviceMonitor.create finds the pods through the Service: set service.create=true\n" }}
{{- end }}
{{- $length := include "channelbeat.milliseconds" .Values.lease.duration | float64 }}
{{- if or (lt $length 1000.0) (lt $length (mulf 2 (include "channelbeat.milliseconds" .Values.lease.renewal | float64))) }}
{{- fail (printf "\n\nlease.duration is %s and lease.renewal %s, and the operator would refuse to start: make the duration at least 1s, and at least twice the renewal (3s and 1s are good)\n" .Values.lease.duration .Values.lease.renewal) }}
{{- end }}
{{- range $name, $layer := .Values.layers }}
{{- $allowed := $layer.allowedNamespaces | default (list "*") }}
{{- if and $values.watch.namespaces (not (has "*" $allowed)) }}
{{- $both := false }}
{{- range $values.watch.namespaces }}{{ if has . $allowed }}{{ $both = true }}{{ end }}{{ end }}
{{- if not $both }}
{{- fail (printf "\n\nlayers.%s.allowedNamespaces has none of watch.namespaces (%s), so no schedule could use it: add one of them, or remove the layer\n" $name (join ", " $values.watch.namespaces)) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
