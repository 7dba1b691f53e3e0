{{/* The name of the chart in object names. */}}
{{- define "kube-autorollout.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The prefix of object names. */}}
{{- define "kube-autorollout.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "kube-autorollout.chart" -}}
{{- printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Labels of every object. The user's labels are added and cannot replace ours. */}}
{{- define "kube-autorollout.labels" -}}
{{- $ours := include "kube-autorollout.selectorLabels" . | fromYaml }}
{{- $_ := set $ours "helm.sh/chart" (include "kube-autorollout.chart" .) }}
{{- $_ := set $ours "app.kubernetes.io/version" .Chart.AppVersion }}
{{- $_ := set $ours "app.kubernetes.io/managed-by" .Release.Service }}
{{- toYaml (merge $ours (.Values.commonLabels | default dict)) }}
{{- end }}

{{- define "kube-autorollout.podLabels" -}}
{{- $labels := merge (include "kube-autorollout.labels" . | fromYaml) (.Values.podLabels | default dict) }}
{{- if has "azure" (.Values.cloudIdentities | default list) }}
  {{- $_ := set $labels "azure.workload.identity/use" "true" }}
{{- end }}
{{- toYaml $labels }}
{{- end }}

{{/* Name of the Role or ClusterRole for watched namespaces. A ClusterRole has no namespace, so its name contains it. */}}
{{- define "kube-autorollout.role" -}}
{{- include "kube-autorollout.fullname" . }}-{{ if include "kube-autorollout.watchesAll" . }}{{ .Release.Namespace }}-{{ end }}role
{{- end }}

{{/* The selector of a Deployment is immutable: do not change these. */}}
{{- define "kube-autorollout.selectorLabels" -}}
app.kubernetes.io/name: {{ include "kube-autorollout.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "kube-autorollout.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "kube-autorollout.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "kube-autorollout.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default (printf "v%s" .Chart.AppVersion) }}
{{- end }}

{{/* Not empty if all namespaces are watched. */}}
{{- define "kube-autorollout.watchesAll" -}}
{{- if has "*" (.Values.config.watch.namespaces | default list) }}true{{ end }}
{{- end }}

{{/* Not empty if leader election is enabled. */}}
{{- define "kube-autorollout.elects" -}}
{{- $enabled := .Values.config.leaderElection.enabled }}
{{- if kindIs "bool" $enabled }}{{ if $enabled }}true{{ end }}
{{- else if gt (int .Values.replicaCount) 1 }}true{{ end }}
{{- end }}

{{/*
The update strategy. `Recreate` is not the default for one replica: Kubernetes rejects it together with the `rollingUpdate`
that it defaulted for a release of chart 0.7, and server-side apply, as used by Helm 4, cannot remove this default. For the
same reason, `rollingUpdate` is always set.
*/}}
{{- define "kube-autorollout.strategy" -}}
{{- $strategy := .Values.strategy | default dict }}
{{- if eq ($strategy.type | default "RollingUpdate") "RollingUpdate" }}
  {{- $rolling := dict "maxSurge" 0 "maxUnavailable" 1 }}{{/* stop the old pod before the new one starts */}}
  {{- if include "kube-autorollout.elects" . }}
    {{- $rolling = dict "maxSurge" 1 "maxUnavailable" 0 }}
  {{- end }}
  {{- $strategy = merge (dict "type" "RollingUpdate") $strategy (dict "rollingUpdate" $rolling) }}
{{- end }}
{{- toYaml $strategy }}
{{- end }}

{{/* Not empty if the controller may read nodes. */}}
{{- define "kube-autorollout.readsNodes" -}}
{{- $enabled := .Values.rbac.nodes.enabled }}
{{- if kindIs "bool" $enabled }}{{ if $enabled }}true{{ end }}
{{- else }}{{ include "kube-autorollout.watchesAll" . }}{{ end }}
{{- end }}
