{{/* Everything that cannot work and that values.schema.json cannot tell, one a line. No line repeats a value that may hold a secret. */}}
{{- define "reconciler.mistakes" -}}
{{- $own := or .Values.config.text .Values.config.existingConfigMap -}}
{{- if eq (toString .Values.enabled) "false" }}
enabled: is false, and the chart was rendered all the same: a parent's Chart.yaml has to name it in the `condition` of the dependency
{{- end }}
{{- if regexMatch "^[0-9]" (include "reconciler.fullname" .) }}
fullnameOverride: is missing: the name of a Service cannot begin with the digit of the release's
{{- end }}
{{- if not .Values.image.repository }}
image.repository: is missing: where the image was pushed to, such as registry.example/reconciler
{{- end }}
{{- if and (gt (int .Values.replicas) 1) (ne .Values.state.kind "database") }}
replicas: more than 1 needs state.kind database, a MySQL or MariaDB that all of them reach; it is {{ .Values.state.kind }}
{{- end }}
{{- $given := include "reconciler.settings" (dict "prefix" "RECONCILER_" "settings" .Values.settings) | fromYaml }}
{{- if not (or (include "reconciler.isNamed" .Values.database) $own) }}
database.url: is missing: mysql://auditor@db.example:3306/ledger (or database.existingSecret and database.urlKey)
{{- end }}
{{- $prefix := printf "RECONCILER_DATABASES__%s__" (upper .Values.database.name) }}
{{- include "reconciler.mistakesOfUrl" (dict "place" "database" "from" .Values.database "elsewhere" (hasKey $given (print $prefix "PASSWORD_FILE"))) }}
{{- if eq .Values.state.kind "database" }}
{{- if not (include "reconciler.isNamed" .Values.state.database) }}
state.database.url: is missing (or state.database.existingSecret and state.database.urlKey)
{{- end }}
{{- include "reconciler.mistakesOfUrl" (dict "place" "state.database" "from" .Values.state.database "elsewhere" (hasKey $given "RECONCILER_STATE__PASSWORD_FILE")) }}
{{- else if or (include "reconciler.isNamed" .Values.state.database) .Values.state.database.tls .Values.state.database.caSecret .Values.state.database.caConfigMap .Values.state.database.caFile .Values.state.database.passwordFile }}
state.kind: is {{ .Values.state.kind }}, but state.database is filled in; say database
{{- end }}
{{- include "reconciler.mistakesOfConfig" . }}
{{- include "reconciler.mistakesOfAlertmanager" . }}
{{- include "reconciler.mistakesOfEnvironment" . }}
{{- include "reconciler.mistakesOfScrape" . }}
{{- include "reconciler.mistakesOfPod" . }}
{{- include "reconciler.mistakesOfAddress" (dict "place" "externalUrl" "url" .Values.externalUrl) }}
{{- range $place, $labels := dict "commonLabels" .Values.commonLabels "podLabels" .Values.podLabels "test.podLabels" .Values.test.podLabels }}
{{- range $name, $value := $labels }}
{{- if regexMatch "^(app\\.kubernetes\\.io|helm\\.sh)/" $name }}
{{ $place }}: {{ $name }} is a label of the chart's own
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Of how Prometheus asks. */}}
{{- define "reconciler.mistakesOfScrape" -}}
{{- $scheme := default (include "reconciler.scheme" .) .Values.serviceMonitor.scheme }}
{{- with .Values.serviceMonitor }}
{{- if and .tlsConfig (ne $scheme "https") }}
serviceMonitor.tlsConfig: needs the scheme https
{{- end }}
{{- range $key := list "port" "path" "interval" "scrapeTimeout" "scheme" "tlsConfig" "basicAuth" }}
{{- if hasKey $.Values.serviceMonitor.endpoint $key }}
serviceMonitor.endpoint: {{ $key }} is of the chart's own
{{- end }}
{{- end }}
{{- range $key := list "honorLabels" "relabelings" "metricRelabelings" }}
{{- if and (get $.Values.serviceMonitor $key) (hasKey $.Values.serviceMonitor.endpoint $key) }}
serviceMonitor.{{ $key }}: serviceMonitor.endpoint has it, too
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Of TLS to a database. Takes {place, from}. */}}
{{- define "reconciler.mistakesOfTls" -}}
{{- $named := include "reconciler.isNamed" .from }}
{{- $mode := default (include "reconciler.tlsOf" .from) .from.tls }}
{{- $authorities := list }}
{{- range $key := list "caSecret" "caConfigMap" "caFile" }}
{{- if get $.from $key }}
{{- $authorities = append $authorities $key }}
{{- end }}
{{- end }}
{{- if and .from.tls (not $named) }}
{{ .place }}.tls: is of no use without url or urlKey
{{- end }}
{{- range $authorities }}
{{- if not (or $named $.from.tls) }}
{{ $.place }}.{{ . }}: is of no use without url or urlKey
{{- else if not (hasPrefix "verify-" $mode) }}
{{ $.place }}.{{ . }}: verifies nothing unless tls is verify-ca or verify-identity
{{- end }}
{{- end }}
{{- if gt (len $authorities) 1 }}
{{ .place }}.{{ last $authorities }}: one of caSecret, caConfigMap and caFile, not several
{{- end }}
{{- end -}}

{{/* Of what is put beside the chart's own containers and volumes. */}}
{{- define "reconciler.mistakesOfPod" -}}
{{- range $place, $containers := dict "extraContainers" .Values.extraContainers "extraInitContainers" .Values.extraInitContainers }}
{{- range $containers }}
{{- if has .name (list "reconciler" "config-check") }}
{{ $place }}: {{ .name }} is a container of the chart's own
{{- end }}
{{- end }}
{{- end }}
{{- range .Values.extraVolumes }}
{{- if has .name (list "config" "secrets" "web-config" "state" "tmp") }}
extraVolumes: {{ .name }} is a volume of the chart's own
{{- end }}
{{- end }}
{{- range .Values.extraVolumeMounts }}
{{- if has (trimSuffix "/" .mountPath) (list "/etc/reconciler" "/run/secrets/reconciler" "/run/secrets/reconciler-web" "/var/lib/reconciler" "/tmp") }}
extraVolumeMounts: {{ .mountPath }} is a folder of the chart's own
{{- end }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) }}
ingress.hosts: is missing: the names by which people reach the status page
{{- end }}
{{- if and (eq .Values.dnsPolicy "None") (not .Values.dnsConfig.nameservers) }}
dnsConfig.nameservers: is missing: with dnsPolicy None nothing else answers
{{- end }}
{{- end -}}

{{/* Of a web server's address. Takes {place, url}. */}}
{{- define "reconciler.mistakesOfAddress" -}}
{{- if and .url (not (regexMatch "^https?://[^/@\\s]+(/[^@\\s]*)?$" .url)) }}
{{ .place }}: is not like https://host:9093/path, without a user or a password
{{- end }}
{{- end -}}

{{/* Of a database's URL and its secret. Takes {place, from, elsewhere}; the last is true where `settings` name the password's file. */}}
{{- define "reconciler.mistakesOfUrl" -}}
{{- with .from }}
{{- if and .url .urlKey }}
{{ $.place }}.urlKey: either url or urlKey, not both
{{- end }}
{{- if and .urlFile (or .url .urlKey) }}
{{ $.place }}.urlFile: either url, urlKey or urlFile
{{- end }}
{{- if and .password .existingSecret }}
{{ $.place }}.password: either password or existingSecret, not both
{{- end }}
{{- if and .passwordFile (or .password (and .existingSecret (not .urlKey))) }}
{{ $.place }}.passwordFile: either a file, or {{ ternary "password" "existingSecret" (ne .password "") }}
{{- end }}
{{- if and .noPassword (or .password .passwordFile .existingSecret) }}
{{ $.place }}.noPassword: is true, and there is {{ ternary "a password" (ternary "a passwordFile" "an existingSecret" (ne .passwordFile "")) (ne .password "") }}
{{- end }}
{{- if and .urlKey (not .existingSecret) }}
{{ $.place }}.existingSecret: is missing: the Secret that has urlKey
{{- end }}
{{- if and .url (not (or .urlKey .existingSecret .password .passwordFile .noPassword $.elsewhere)) }}
{{ $.place }}.existingSecret: is missing: the Secret with the password (or passwordFile, which an agent writes, or noPassword: true)
{{- end }}
{{- if and .existingSecret (not .url) (not .urlKey) }}
{{ $.place }}.url: is missing: existingSecret has only the password unless urlKey names its key of a whole URL
{{- end }}
{{- if and .url (include "reconciler.holdsPassword" .url) }}
{{ $.place }}.url: holds a password, which belongs into a Secret
{{- else if and .url (not (regexMatch "^(mysql|mariadb)://[^/@:?#\\s]+@[^/@?#\\s]+/[^/@?#\\s]+$" .url)) }}
{{ $.place }}.url: is not like mysql://user@host:3306/database
{{- end }}
{{- end }}
{{- include "reconciler.mistakesOfTls" . }}
{{- end -}}

{{- define "reconciler.mistakesOfConfig" -}}
{{- with .Values.config }}
{{- if and .existingConfigMap (or .text .extra) }}
config.existingConfigMap: either a ConfigMap of your own, or text and extra
{{- end }}
{{- if include "reconciler.holdsPassword" .text }}
config.text: holds a URL with a password, which belongs into a Secret
{{- end }}
{{- if include "reconciler.holdsPassword" .extra }}
config.extra: holds a URL with a password, which belongs into a Secret
{{- end }}
{{- end }}
{{- end -}}

{{- define "reconciler.mistakesOfAlertmanager" -}}
{{- $config := .Values.config }}
{{- with .Values.alertmanager }}
{{- if and (not .url) (or .existingSecret .tokenKey .username .passwordKey .caKey .tokenFile .passwordFile .caFile) }}
alertmanager.url: is missing
{{- end }}
{{- if and .url $config.existingConfigMap }}
alertmanager.url: belongs into config.existingConfigMap, which the chart does not write
{{- end }}
{{- if and .url (regexMatch "(?m)^\\s*\\[\\s*(alerts|alertmanagers\\s*\\.\\s*main)\\s*\\]" (print $config.text "\n" $config.extra)) }}
alertmanager.url: config.text or config.extra says it already: [alerts] or [alertmanagers.main]
{{- end }}
{{- include "reconciler.mistakesOfAddress" (dict "place" "alertmanager.url" "url" .url) }}
{{- if and (or .tokenKey .passwordKey .caKey) (not .existingSecret) }}
alertmanager.existingSecret: is missing: the Secret that has the keys
{{- end }}
{{- if and (or .tokenKey .tokenFile) (or .username .passwordKey .passwordFile) }}
alertmanager.{{ ternary "tokenKey" "tokenFile" (ne .tokenKey "") }}: either a token or username and passwordKey, not both
{{- end }}
{{- if ne (empty .username) (and (empty .passwordKey) (empty .passwordFile)) }}
alertmanager.username: username and passwordKey are needed together
{{- end }}
{{- if and (or .caKey .caFile) (not (hasPrefix "https://" .url)) }}
alertmanager.{{ ternary "caKey" "caFile" (ne .caKey "") }}: needs an https:// URL
{{- end }}
{{- range $key := list "token" "password" "ca" }}
{{- if and (get $.Values.alertmanager (print $key "Key")) (get $.Values.alertmanager (print $key "File")) }}
alertmanager.{{ $key }}File: either a file, or {{ $key }}Key
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* A variable that is there twice would depend on its place in the list. */}}
{{- define "reconciler.mistakesOfEnvironment" -}}
{{- $own := include "reconciler.ownEnvironment" . | fromYaml }}
{{- $given := include "reconciler.settings" (dict "prefix" "RECONCILER_" "settings" .Values.settings) | fromYaml }}
{{- range $name, $value := $given }}
{{- if include "reconciler.isSet" (list $own $name) }}
settings: the chart itself sets {{ $name }}
{{- end }}
{{- if or (include "reconciler.holdsPassword" $value) (regexMatch "__PASSWORD$" $name) }}
settings: {{ $name }} holds a password, which belongs into a Secret
{{- end }}
{{- end }}
{{- range .Values.extraEnv }}
{{- if or (include "reconciler.isSet" (list $own .name)) (include "reconciler.isSet" (list $given .name)) }}
extraEnv: the chart or settings set {{ .name }} already
{{- end }}
{{- if include "reconciler.holdsPassword" (default "" .value) }}
extraEnv: {{ .name }} holds a URL with a password, which belongs into a Secret
{{- end }}
{{- end }}
{{- end -}}

{{/* Whether a variable is set, or its other spelling: URL and URL_FILE. Takes [variables, name]. */}}
{{- define "reconciler.isSet" -}}
{{- $name := index . 1 | trimSuffix "_FILE" -}}
{{- if or (hasKey (first .) $name) (hasKey (first .) (print $name "_FILE")) }}yes{{ end -}}
{{- end -}}

{{/* Whether a text holds a URL with a password in it: `//user:password@host`. */}}
{{- define "reconciler.holdsPassword" -}}
{{- if regexMatch "//[^/@:\\s\"']*:[^@\\s\"']*@" (toString .) }}yes{{ end -}}
{{- end -}}
