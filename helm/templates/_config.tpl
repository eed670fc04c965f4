{{/* The whole config.toml. The worker refuses a table that is there twice, and says so. */}}
{{- define "reconciler.config" -}}
{{- $text := default (.Files.Get "files/config.toml") .Values.config.text -}}
{{- $text | trimSuffix "\n" }}
{{ with .Values.alertmanager }}{{ if .url }}
[alertmanagers.main]
url = {{ .url | toJson }}
{{- if or .tokenKey .tokenFile }}
bearer_file = {{ default "/run/secrets/reconciler/alertmanager/token" .tokenFile | toJson }}
{{- end }}
{{- if .username }}
username = {{ .username | toJson }}
password_file = {{ default "/run/secrets/reconciler/alertmanager/password" .passwordFile | toJson }}
{{- end }}
{{- if or .caKey .caFile }}
ca_file = {{ default "/run/secrets/reconciler/alertmanager/ca.crt" .caFile | toJson }}
{{- end }}

[alerts]
push = {{ .push | toJson }}
{{ end }}{{ end }}
{{- with .Values.config.extra }}
{{ . | trimSuffix "\n" }}
{{ end }}
{{- end -}}

{{/* `settings` as variables, one a line. Takes {prefix, settings}. */}}
{{- define "reconciler.settings" -}}
{{- range $key, $value := .settings -}}
{{- $name := printf "%s%s" $.prefix (upper $key) -}}
{{- if kindIs "map" $value -}}
{{- include "reconciler.settings" (dict "prefix" (printf "%s__" $name) "settings" $value) -}}
{{- else if kindIs "float64" $value -}}
{{ $name }}: {{ $value | toJson | quote }}
{{ else if not (kindIs "invalid" $value) -}}
{{ $name }}: {{ $value | toString | toJson }}
{{ end -}}
{{- end -}}
{{- end -}}

{{/* What the chart itself tells the worker, as variables; no secret is among them. */}}
{{- define "reconciler.ownEnvironment" -}}
RECONCILER_CONFIG: /etc/reconciler/config.toml
RECONCILER_HTTP__PORT: "9720"
{{- with .Values.externalUrl }}
RECONCILER_HTTP__EXTERNAL_URL: {{ toJson . }}
{{- end }}
{{- with .Values.http.webConfig }}
{{- if .existingSecret }}
RECONCILER_HTTP__WEB_CONFIG_FILE: {{ printf "/run/secrets/reconciler-web/%s" .key | toJson }}
{{- end }}
{{- end }}
{{- with .Values.database }}
{{- $prefix := printf "RECONCILER_DATABASES__%s__" (upper .name) }}
{{- include "reconciler.urlEnvironment" (dict "prefix" $prefix "place" "database" "from" .) }}
{{- if include "reconciler.isNamed" . }}
{{ $prefix }}ENVIRONMENT: {{ .environment | toJson }}
{{- end }}
{{- end }}
{{- if eq .Values.state.kind "database" }}
{{- include "reconciler.urlEnvironment" (dict "prefix" "RECONCILER_STATE__" "place" "state" "from" .Values.state.database) }}
{{- else }}
RECONCILER_STATE__URL: sqlite:////var/lib/reconciler/reconciler-state.db
{{- end }}
{{- end -}}

{{- define "reconciler.urlEnvironment" -}}
{{- if .from.urlKey }}
{{ .prefix }}URL_FILE: /run/secrets/reconciler/{{ .place }}/url
{{- else if .from.urlFile }}
{{ .prefix }}URL_FILE: {{ .from.urlFile | toJson }}
{{- else if .from.url }}
{{ .prefix }}URL: {{ .from.url | toJson }}
{{- end }}
{{- if .from.passwordFile }}
{{ .prefix }}PASSWORD_FILE: {{ .from.passwordFile | toJson }}
{{- else if and .from.url (or .from.existingSecret .from.password) }}
{{ .prefix }}PASSWORD_FILE: /run/secrets/reconciler/{{ .place }}/password
{{- end }}
{{- with include "reconciler.tlsOf" .from }}
{{ $.prefix }}TLS: {{ . }}
{{- end }}
{{- if .from.caFile }}
{{ .prefix }}CA_FILE: {{ .from.caFile | toJson }}
{{- else if or .from.caSecret .from.caConfigMap }}
{{ .prefix }}CA_FILE: /run/secrets/reconciler/{{ .place }}/ca.crt
{{- end }}
{{- end -}}

{{/* Whether the values say where a database is. Takes its values. */}}
{{- define "reconciler.isNamed" -}}
{{- if or .url .urlKey .urlFile }}yes{{ end -}}
{{- end -}}

{{/* How a database is spoken to: as was said, or by whether its server is in the pod itself. Takes its values. */}}
{{- define "reconciler.tlsOf" -}}
{{- if include "reconciler.isNamed" . -}}
{{- $near := regexMatch "^[^:]*://([^/@]*@)?(localhost|127[.][0-9.]+|\\[::1\\])(:[0-9]+)?(/|$)" .url -}}
{{- default (ternary "disabled" "verify-identity" $near) .tls -}}
{{- end -}}
{{- end -}}

{{/* All variables as a mapping: `settings` and what the chart says. */}}
{{- define "reconciler.environment" -}}
{{- $own := include "reconciler.ownEnvironment" . | fromYaml -}}
{{- $given := include "reconciler.settings" (dict "prefix" "RECONCILER_" "settings" .Values.settings) | fromYaml -}}
{{- toYaml (merge $own $given) -}}
{{- end -}}
