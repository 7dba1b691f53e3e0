{{/* Selector of the namespaces whose pods are pinned: by default, the watched namespaces. */}}
{{- define "kube-autorollout.pinnedNamespaces" -}}
{{- if .Values.pinning.namespaceSelector }}
{{- toYaml .Values.pinning.namespaceSelector }}
{{- else if include "kube-autorollout.watchesAll" . }}
{{- toYaml dict }}
{{- else }}
{{- $namespaces := .Values.config.watch.namespaces | default (list .Release.Namespace) }}
{{- $names := dict "key" "kubernetes.io/metadata.name" "operator" "In" "values" $namespaces }}
{{- toYaml (dict "matchExpressions" (list $names)) }}
{{- end }}
{{- end }}

{{/* The name of the policy. It is cluster-scoped, so its name contains the namespace. */}}
{{- define "kube-autorollout.pinPolicy" -}}
{{ include "kube-autorollout.fullname" . }}-{{ .Release.Namespace }}-pin
{{- end }}

{{/* The API version of MutatingAdmissionPolicy. Fails before anything is installed if the API server does not have it. */}}
{{- define "kube-autorollout.pinPolicyVersion" -}}
{{- $kind := "admissionregistration.k8s.io/%s/MutatingAdmissionPolicy" }}
{{- if .Capabilities.APIVersions.Has (printf $kind "v1") }}v1
{{- else if .Capabilities.APIVersions.Has (printf $kind "v1beta1") }}v1beta1
{{- else }}
  {{- fail (printf "pinning.enabled: Kubernetes %s has no API for MutatingAdmissionPolicy, which gives pods their pinned images; it is on by default since 1.36, and off in 1.34 and 1.35 (feature gate MutatingAdmissionPolicy, --runtime-config=admissionregistration.k8s.io/v1beta1=true). Either set pinning.policy to kyverno, if Kyverno is installed, or set it to none and have pods pinned by a policy of your own; see docs/pins.md. For a rendering without a cluster, name the API: --api-versions %s" .Capabilities.KubeVersion.Version (printf $kind "v1")) }}
{{- end }}
{{- end }}
