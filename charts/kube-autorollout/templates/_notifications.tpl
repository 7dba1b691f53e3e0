{{/*
notifications.sinks as a YAML mapping:
  sinks: as in the configuration file, with the paths of the mounted Secrets
  sources: of one projected volume, so that a rotated Secret is read without a restart
It fails for values that the controller would reject at startup, after the release is installed.
*/}}
{{- define "kube-autorollout.notifications" -}}
{{- $result := dict "sinks" list "sources" list }}
{{- $names := dict }}
{{- range $index, $given := .Values.notifications.sinks }}
  {{- $place := printf "notifications.sinks[%d]" $index }}
  {{- $name := required (printf "%s.name is missing: a name for the log and metrics" $place) $given.name }}
  {{- $type := required (printf "%s.type is missing: webhook, cloudevents, slack or teams" $place) $given.type }}
  {{- if hasKey $names $name }}
    {{- fail (printf "%s.name is %s, as that of %s; use another one" $place $name (get $names $name)) }}
  {{- end }}
  {{- $_ := set $names $name $place }}
  {{- $urls := 0 }}
  {{- range $key := list "url" "urlFile" "urlSecret" }}
    {{- if get $given $key }}{{ $urls = add1 $urls }}{{ end }}
  {{- end }}
  {{- if ne (int $urls) 1 }}
    {{- fail (printf "%s (%s) needs one of urlSecret (name and key of a Secret), urlFile and url, and has %d" $place $name (int $urls)) }}
  {{- end }}
  {{- if and $given.secret $given.secretFile }}
    {{- fail (printf "%s (%s) has both secret and secretFile; remove one" $place $name) }}
  {{- end }}
  {{- if and (or $given.secret $given.secretFile) (has $type (list "slack" "teams")) }}
    {{- fail (printf "%s (%s): only messages to sinks of type webhook and cloudevents are signed, and this is %s" $place $name $type) }}
  {{- end }}
  {{- $sink := omit $given "urlSecret" "secret" }}
  {{- range $key, $file := dict "urlSecret" "urlFile" "secret" "secretFile" }}
    {{- with get $given $key }}
      {{- $path := printf "%s/%s" $name (ternary "url" "secret" (eq $key "urlSecret")) }}
      {{- $source := dict "name" .name "items" (list (dict "key" .key "path" $path)) }}
      {{- $_ := set $result "sources" (append $result.sources (dict "secret" $source)) }}
      {{- $_ := set $sink $file (printf "/etc/kube-autorollout/notifications/%s" $path) }}
    {{- end }}
  {{- end }}
  {{- $_ := set $result "sinks" (append $result.sinks $sink) }}
{{- end }}
{{- toYaml $result }}
{{- end }}
