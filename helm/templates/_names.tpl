{{- define "reconciler.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{- define "reconciler.fullname" -}}
{{- $name := include "reconciler.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "reconciler.serviceAccountName" -}}
{{- $made := ternary (include "reconciler.fullname" .) "default" .Values.serviceAccount.create -}}
{{- default $made .Values.serviceAccount.name -}}
{{- end -}}

{{- define "reconciler.configMapName" -}}
{{- default (printf "%s-config" (include "reconciler.fullname" .)) .Values.config.existingConfigMap -}}
{{- end -}}

{{- define "reconciler.claimName" -}}
{{- default (printf "%s-state" (include "reconciler.fullname" .)) .Values.state.volume.existingClaim -}}
{{- end -}}

{{/* Where everything is but what another namespace has to hold, such as a ServiceMonitor. */}}
{{- define "reconciler.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{- define "reconciler.image" -}}
{{- with .Values.image -}}
{{- $registry := default .registry (default dict $.Values.global).imageRegistry -}}
{{- $repository := .repository -}}
{{- if $registry -}}
{{- /* What is before the first slash is a registry when it looks like a host, as for docker itself. */ -}}
{{- $repository = printf "%s/%s" (trimSuffix "/" $registry) (regexReplaceAll "^([^/]*[.:][^/]*|localhost)/" .repository "") -}}
{{- end -}}
{{- if .digest -}}
{{ $repository }}@{{ .digest }}
{{- else -}}
{{ $repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Names of the Secrets for the registry, as a JSON list: the chart's own and those of a parent, in both spellings. */}}
{{- define "reconciler.pullSecrets" -}}
{{- $names := list -}}
{{- range concat .Values.image.pullSecrets .Values.imagePullSecrets (default list (default dict .Values.global).imagePullSecrets) -}}
{{- $names = append $names (ternary . (get (ternary dict . (kindIs "string" .)) "name") (kindIs "string" .)) -}}
{{- end -}}
{{- uniq $names | toJson -}}
{{- end -}}

{{/* What is one release, whatever part of it. */}}
{{- define "reconciler.releaseLabels" -}}
app.kubernetes.io/name: {{ include "reconciler.name" . }}
app.kubernetes.io/instance: {{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/* The worker's pod, and not that of `helm test`. */}}
{{- define "reconciler.selectorLabels" -}}
{{ include "reconciler.releaseLabels" . }}
app.kubernetes.io/component: worker
{{- end -}}

{{/* Labels of an object. Own labels win over `commonLabels`. Takes {root, labels, component}. */}}
{{- define "reconciler.labels" -}}
{{- $own := include "reconciler.releaseLabels" .root | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/component" (default "worker" .component) -}}
{{- $_ := set $own "app.kubernetes.io/version" (.root.Chart.AppVersion | replace "+" "_" | trunc 63) -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") -}}
{{- toYaml (merge $own (default dict .labels) .root.Values.commonLabels) -}}
{{- end -}}

{{/* `metadata` of an object. Takes {root, suffix, namespace, labels, annotations, component}; own annotations win over `commonAnnotations`. */}}
{{- define "reconciler.metadata" -}}
name: {{ include "reconciler.fullname" .root }}{{ with .suffix }}-{{ . }}{{ end }}
namespace: {{ default (include "reconciler.namespace" .root) .namespace }}
labels:
  {{- include "reconciler.labels" . | nindent 2 }}
{{- with merge (dict) (default dict .annotations) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
