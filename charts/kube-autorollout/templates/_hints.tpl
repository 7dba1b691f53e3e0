{{/*
hints.receivers as a YAML mapping:
  receivers: as in the configuration file, with the paths of the mounted Secrets
  sources: of one projected volume, so that a rotated Secret is read without a restart, and the order does not matter
It fails for values that the controller would reject at startup, after the release is installed.
*/}}
{{- define "kube-autorollout.hints" -}}
{{- $result := dict "receivers" list "sources" list }}
{{- $names := dict }}
{{- range $index, $given := .Values.hints.receivers }}
  {{- $place := printf "hints.receivers[%d]" $index }}
  {{- $name := required (printf "%s.name is missing: hints are sent to /hooks/NAME" $place) $given.name }}
  {{- $type := required (printf "%s.type is missing: the sender, such as generic, github or harbor" $place) $given.type }}
  {{- if hasKey $names $name }}
    {{- fail (printf "%s.name is %s, as that of %s; names are parts of paths, so use another one" $place $name (get $names $name)) }}
  {{- end }}
  {{- $_ := set $names $name $place }}
  {{- if not (or $given.secret $given.secretFile $given.oidc) }}
    {{- fail (printf "%s (%s) has no authentication, so that everybody could send hints; set secret (name and key of a Secret)%s" $place $name (ternary " or oidc" "" (eq $type "generic"))) }}
  {{- end }}
  {{- if ne $type "generic" }}
    {{- range $key := list "oidc" "mayWait" }}
      {{- if get $given $key }}
        {{- fail (printf "%s (%s): %s is only for the type generic, and this is %s" $place $name $key $type) }}
      {{- end }}
    {{- end }}
  {{- end }}
  {{- if and (eq $type "artifactory") (not $given.repositories) }}
    {{- fail (printf "%s (%s) needs repositories: how images name each of them, such as docker-local: art.example.org/docker" $place $name) }}
  {{- end }}
  {{- if and (or $given.previousSecret $given.previousSecretFile) (not (or $given.secret $given.secretFile)) }}
    {{- fail (printf "%s (%s) has a previous secret only; set secret as well" $place $name) }}
  {{- end }}
  {{- $receiver := omit $given "secret" "previousSecret" }}
  {{- range $key := list "secret" "previousSecret" }}
    {{- $file := printf "%sFile" $key }}
    {{- with get $given $key }}
      {{- if get $given $file }}
        {{- fail (printf "%s (%s) has both %s and %s; remove one" $place $name $key $file) }}
      {{- end }}
      {{- $path := printf "%s/%s" $name (ternary "secret" "previous" (eq $key "secret")) }}
      {{- $source := dict "name" .name "items" (list (dict "key" .key "path" $path)) }}
      {{- $_ := set $result "sources" (append $result.sources (dict "secret" $source)) }}
      {{- $_ := set $receiver $file (printf "/etc/kube-autorollout/hints/%s" $path) }}
    {{- end }}
  {{- end }}
  {{- $_ := set $result "receivers" (append $result.receivers $receiver) }}
{{- end }}
{{- if and $result.receivers (eq (int .Values.hints.port) (int .Values.config.webserver.port)) }}
  {{- fail (printf "hints.port is %d, as config.webserver.port; the listener for hints needs another one" (int .Values.hints.port)) }}
{{- end }}
{{- range $key := list "ingress" "httpRoute" }}
  {{- if and (get $.Values.hints $key).enabled (not $result.receivers) }}
    {{- fail (printf "hints.%s.enabled requires hints.receivers: without one, there is no port to publish" $key) }}
  {{- end }}
{{- end }}
{{- toYaml $result }}
{{- end }}
