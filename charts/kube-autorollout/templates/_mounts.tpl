{{/* Fails if two volumes have the same mount path: the API server would only report that the path is not unique. */}}
{{- define "kube-autorollout.checkMounts" -}}
{{- $wanted := list (dict "path" "/etc/kube-autorollout/config" "what" "the configuration") }}
{{- range .Values.config.registries }}
  {{- $secret := (. | default dict).secret | default dict }}
  {{- if and (eq ($secret.type | default "") "ImagePullSecret") $secret.name }}
    {{- $wanted = append $wanted (dict "path" $secret.mountPath "what" (printf "the Secret %s of config.registries" $secret.name)) }}
  {{- end }}
{{- end }}
{{- if .Values.config.tls.customCaCertificates.enabled }}
  {{- range $index, $secret := .Values.config.tls.customCaCertificates.secrets }}
    {{- $what := printf "%s of the Secret %s (config.tls.customCaCertificates.secrets[%d])" $secret.subPath $secret.name $index }}
    {{- $wanted = append $wanted (dict "path" $secret.mountPath "what" $what) }}
  {{- end }}
{{- end }}
{{- if (include "kube-autorollout.hints" . | fromYaml).sources }}
  {{- $wanted = append $wanted (dict "path" "/etc/kube-autorollout/hints" "what" "the Secrets of hints.receivers") }}
{{- end }}
{{- if (include "kube-autorollout.notifications" . | fromYaml).sources }}
  {{- $wanted = append $wanted (dict "path" "/etc/kube-autorollout/notifications" "what" "the Secrets of notifications.sinks") }}
{{- end }}
{{- range $index, $mount := .Values.extraVolumeMounts }}
  {{- $what := printf "the volume %s (extraVolumeMounts[%d])" $mount.name $index }}
  {{- $wanted = append $wanted (dict "path" $mount.mountPath "what" $what) }}
{{- end }}
{{- $taken := dict }}
{{- range $wanted }}
  {{- $path := .path | default "" | toString | trimSuffix "/" }}
  {{- $other := get $taken $path }}
  {{- if not $path }}{{/* reported by the template that uses it */}}
  {{- else if not $other }}
    {{- $_ := set $taken $path .what }}
  {{- else if ne $other .what }}{{/* registry entries may share a Secret, which is mounted once */}}
    {{- fail (printf "%s cannot be mounted at %s, which is used by %s; set a different mountPath" .what $path $other) }}
  {{- end }}
{{- end }}
{{- end }}
