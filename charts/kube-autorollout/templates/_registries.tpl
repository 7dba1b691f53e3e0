{{/*
config.registries as a YAML mapping:
  registries: as in the configuration file
  volumes, mounts: of their Secrets, one directory each, so that a rotated Secret is read without a restart
  env: variables for tokens of the form ${KEY}, where KEY is a key of a Secret of the same or another entry. If the Secret
    of an earlier entry has the same key, the variable contains the number of the entry
  tokens: literal tokens of the values, by their key in the Secret that this chart creates
Each directory and key contains the number of its entry, so that two Secrets with the same key do not collide.
*/}}
{{- define "kube-autorollout.registries" -}}
{{- $root := . }}
{{- $result := dict "registries" list "volumes" list "mounts" list "env" list "tokens" dict }}
{{- $keys := dict }}
{{- range .Values.config.registries }}
  {{- $secret := (. | default dict).secret | default dict }}
  {{- if and $secret.name $secret.key (not (hasKey $keys ($secret.key | toString))) }}
    {{- $_ := set $keys $secret.key $secret.name }}
  {{- end }}
{{- end }}
{{- $tokens := list }}
{{- $mounted := dict }}{{/* by mountPath: entries may share a Secret, which is mounted once */}}
{{- range $index, $entry := .Values.config.registries }}
  {{- $registry := omit ($entry | default dict) "secret" }}
  {{- $secret := ($entry | default dict).secret | default dict }}
  {{- $kept := omit $secret "name" "key" }}
  {{- $place := printf "registry-%d" $index }}
  {{- $folder := printf "/etc/kube-autorollout/%s" $place }}
  {{- $named := and $secret.name $secret.key }}
  {{- $own := printf "${%s}" ($secret.key | default "") }}
  {{- $isPullSecret := eq ($secret.type | default "") "ImagePullSecret" }}
  {{- $isOpaque := and (not $isPullSecret) (ne ($secret.type | default "") "None") (or $secret.token $secret.tokenFile $named) }}
  {{- if and $isPullSecret $secret.name }}
    {{- $mountPath := required (printf "config.registries[%d].secret.mountPath is missing: the directory at which the ImagePullSecret %s is mounted" $index $secret.name) $secret.mountPath }}
    {{- $key := $mountPath | trimSuffix "/" }}
    {{- if not (hasKey $mounted $key) }}
      {{- $_ := set $mounted $key $secret.name }}
      {{- $volume := dict "name" $place "secret" (dict "secretName" $secret.name) }}
      {{- $_ := set $result "volumes" (append $result.volumes $volume) }}
      {{- $_ := set $result "mounts" (append $result.mounts (dict "name" $place "mountPath" $mountPath "readOnly" true)) }}
    {{- end }}
  {{- else if and $isOpaque $named (or (not $secret.token) (eq ($secret.token | toString) $own)) (not $secret.tokenFile) }}
    {{- $items := list (dict "key" $secret.key "path" "token") }}
    {{- $volume := dict "name" $place "secret" (dict "secretName" $secret.name "items" $items) }}
    {{- $_ := set $result "volumes" (append $result.volumes $volume) }}
    {{- $_ := set $result "mounts" (append $result.mounts (dict "name" $place "mountPath" $folder "readOnly" true)) }}
    {{- $kept = merge (dict "type" "Opaque" "tokenFile" (printf "%s/token" $folder)) (omit $kept "type" "token") }}
  {{- else if and $isOpaque $secret.token (not (contains "${" ($secret.token | toString))) }}
    {{- $_ := set $result.tokens $place ($secret.token | toString) }}
    {{- $kept = merge (dict "type" "Opaque" "tokenFile" (printf "/etc/kube-autorollout/tokens/%s" $place)) (omit $kept "type" "token") }}
  {{- else if $isOpaque }}
    {{- $token := $secret.token | default "" | toString }}
    {{- if and $named (contains $own $token) (ne $secret.name (get $keys $secret.key)) }}
      {{- $variable := printf "REGISTRY_%d_%s" $index $secret.key }}
      {{- $source := dict "secretKeyRef" (dict "name" $secret.name "key" $secret.key) }}
      {{- $_ := set $result "env" (append $result.env (dict "name" $variable "valueFrom" $source)) }}
      {{- $token = replace $own (printf "${%s}" $variable) $token }}
      {{- $_ := set $kept "token" $token }}
    {{- end }}
    {{- $tokens = append $tokens $token }}
    {{- $kept = merge (dict "type" "Opaque") $kept }}
  {{- end }}
  {{- if $kept }}
    {{- $_ := set $registry "secret" $kept }}
  {{- end }}
  {{- $_ := set $result "registries" (append $result.registries $registry) }}
{{- end }}
{{- range $key, $name := $keys }}
  {{- $named := printf "${%s}" $key }}
  {{- $used := false }}
  {{- range $tokens }}
    {{- if contains $named . }}{{ $used = true }}{{ end }}
  {{- end }}
  {{- if $used }}
    {{- $source := dict "secretKeyRef" (dict "name" $name "key" $key) }}
    {{- $_ := set $result "env" (append $result.env (dict "name" $key "valueFrom" $source)) }}
  {{- end }}
{{- end }}
{{- if $result.tokens }}
  {{- $volume := dict "name" "tokens" "secret" (dict "secretName" (printf "%s-tokens" (include "kube-autorollout.fullname" $root))) }}
  {{- $_ := set $result "volumes" (append $result.volumes $volume) }}
  {{- $_ := set $result "mounts" (append $result.mounts (dict "name" "tokens" "mountPath" "/etc/kube-autorollout/tokens" "readOnly" true)) }}
{{- end }}
{{- range (include "kube-autorollout.cloudRegistries" $root | fromYaml).registries }}
  {{- $_ := set $result "registries" (append $result.registries .) }}
{{- end }}
{{- toYaml $result }}
{{- end }}

{{/* The configuration file. */}}
{{- define "kube-autorollout.configuration" -}}
{{- $given := .Values.config }}
{{- $keys := list "logLevel" "logFormat" "timeZone" "webserver" "watch" "platforms" "rollouts" "featureFlags" }}
{{- $config := dict }}
{{- range $keys }}
  {{- $_ := set $config . (get $given .) }}
{{- end }}
{{- if $given.interval }}
  {{- $_ := set $config "interval" $given.interval }}
{{- end }}
{{- if or (not $given.interval) (ne $given.cronSchedule "*/45 * * * * *") }}
  {{- $_ := set $config "cronSchedule" $given.cronSchedule }}
{{- end }}
{{- $_ := set $config "leaderElection" (dict "enabled" (eq (include "kube-autorollout.elects" .) "true")) }}
{{- $paths := $given.tls.caCertificatePaths | default list }}
{{- if $given.tls.customCaCertificates.enabled }}
  {{- range $given.tls.customCaCertificates.secrets }}
    {{- $paths = append $paths .mountPath }}
  {{- end }}
{{- end }}
{{- $_ := set $config "tls" (dict "caCertificatePaths" $paths) }}
{{- $_ := set $config "registries" (include "kube-autorollout.registries" . | fromYaml).registries }}
{{- with (include "kube-autorollout.hints" . | fromYaml).receivers }}
  {{- $_ := set $config "hints" (dict "port" $.Values.hints.port "receivers" .) }}
{{- end }}
{{- if .Values.pinning.enabled }}
  {{- $_ := set $config "pinning" (dict "enabled" true) }}
{{- end }}
{{- with (include "kube-autorollout.notifications" . | fromYaml).sinks }}
  {{- $_ := set $config "notifications" (dict "cluster" $.Values.notifications.cluster "sinks" .) }}
{{- end }}
{{- toYaml $config }}
{{- end }}
