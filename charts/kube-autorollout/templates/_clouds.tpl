{{/*
Patterns for the registry hosts of each cloud. They can be wide, because the controller only sends tokens to hosts of the
cloud. public.ecr.aws requires no login.
*/}}
{{- define "kube-autorollout.cloudHosts" -}}
aws:
  - "*.dkr.ecr*.amazonaws.com"
  - "*.dkr.ecr*.amazonaws.com.cn"
  - "*.dkr.ecr*.amazonaws.eu"
  - "*.dkr-ecr*.on.aws"
  - "*.dkr-ecr*.on.amazonwebservices.com.cn"
  - "*.dkr.ecr*.sc2s.sgov.gov"
  - "*.dkr.ecr*.c2s.ic.gov"
  - "*.dkr.ecr*.cloud.adc-e.uk"
  - "*.dkr.ecr*.csp.hci.ic.gov"
gcp:
  - "*-docker.pkg.dev"
  - "gcr.io"
  - "*.gcr.io"
  - "docker.s3nsregistry.fr"
azure:
  - "*.azurecr.io"
  - "*.azurecr.cn"
  - "*.azurecr.us"
{{- end }}

{{/* The registry entries for cloudIdentities. */}}
{{- define "kube-autorollout.cloudRegistries" -}}
{{- $hosts := include "kube-autorollout.cloudHosts" . | fromYaml }}
{{- $entries := list }}
{{- range $cloud := .Values.cloudIdentities }}
  {{- range get $hosts $cloud }}
    {{- $secret := dict "type" "CloudIdentity" "cloud" $cloud }}
    {{- $entries = append $entries (dict "hostnamePattern" . "secret" $secret) }}
  {{- end }}
{{- end }}
{{- toYaml (dict "registries" $entries) }}
{{- end }}

{{/* Annotations of the ServiceAccount that identify the controller to clouds, merged with the user's. */}}
{{- define "kube-autorollout.serviceAccountAnnotations" -}}
{{- $clouds := .Values.cloudIdentities | default list }}
{{- $identity := .Values.cloudIdentity | default dict }}
{{- $aws := $identity.aws | default dict }}
{{- $gcp := $identity.gcp | default dict }}
{{- $azure := $identity.azure | default dict }}
{{- $annotations := dict }}
{{- if and (has "aws" $clouds) $aws.roleArn }}
  {{- $_ := set $annotations "eks.amazonaws.com/role-arn" $aws.roleArn }}
{{- end }}
{{- if and (has "gcp" $clouds) $gcp.serviceAccount }}
  {{- $_ := set $annotations "iam.gke.io/gcp-service-account" $gcp.serviceAccount }}
{{- end }}
{{- if and (has "azure" $clouds) $azure.clientId }}
  {{- $_ := set $annotations "azure.workload.identity/client-id" $azure.clientId }}
{{- end }}
{{- if and (has "azure" $clouds) $azure.tenantId }}
  {{- $_ := set $annotations "azure.workload.identity/tenant-id" $azure.tenantId }}
{{- end }}
{{- toYaml (merge (dict) (.Values.serviceAccount.annotations | default dict) $annotations) }}
{{- end }}

{{/* Egress rules for the node-local addresses that issue cloud identities. */}}
{{- define "kube-autorollout.metadataEgress" -}}
{{- $clouds := .Values.cloudIdentities | default list }}
{{- if has "aws" $clouds }}
- to: # the agent of EKS Pod Identity
    - ipBlock:
        cidr: 169.254.170.23/32
    - ipBlock:
        cidr: fd00:ec2::23/128
  ports:
    - port: 80
{{- end }}
{{- if has "gcp" $clouds }}
- to: # the metadata server of Google Cloud
    - ipBlock:
        cidr: 169.254.169.254/32
  ports:
    - port: 80
- to: # the same on GKE without Dataplane V2
    - ipBlock:
        cidr: 169.254.169.252/32
  ports:
    - port: 988
{{- end }}
{{- end }}
