{{/* Where secrets come from: a list of projected sources, each with the paths of its files. */}}
{{- define "reconciler.secretSources" -}}
{{- include "reconciler.urlSource" (dict "root" . "place" "database" "from" .Values.database) -}}
{{- if eq .Values.state.kind "database" -}}
{{- include "reconciler.urlSource" (dict "root" . "place" "state" "from" .Values.state.database) -}}
{{- end -}}
{{- with .Values.alertmanager }}
{{- if and .url .existingSecret (or .tokenKey .passwordKey .caKey) }}
- secret:
    name: {{ .existingSecret }}
    items:
      {{- with .tokenKey }}
      - {key: {{ toJson . }}, path: alertmanager/token}
      {{- end }}
      {{- with .passwordKey }}
      - {key: {{ toJson . }}, path: alertmanager/password}
      {{- end }}
      {{- with .caKey }}
      - {key: {{ toJson . }}, path: alertmanager/ca.crt}
      {{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The password or the URL of one database, and whom it trusts. Takes {root, place, from}. */}}
{{- define "reconciler.urlSource" -}}
{{- with .from }}
{{- if .urlKey }}
- secret:
    name: {{ .existingSecret }}
    items:
      - {key: {{ .urlKey | toJson }}, path: {{ $.place }}/url}
{{- else if or (and .url .existingSecret) .password }}
- secret:
    name: {{ default (include "reconciler.fullname" $.root) .existingSecret }}
    items:
      - {key: {{ ternary .passwordKey (printf "%s-password" $.place) (ne .existingSecret "") | toJson }}, path: {{ $.place }}/password}
{{- end }}
{{- with .caSecret }}
- secret:
    name: {{ . }}
    items:
      - {key: {{ $.from.caKey | toJson }}, path: {{ $.place }}/ca.crt}
{{- end }}
{{- with .caConfigMap }}
- configMap:
    name: {{ . }}
    items:
      - {key: {{ $.from.caKey | toJson }}, path: {{ $.place }}/ca.crt}
{{- end }}
{{- end }}
{{- end -}}

{{/* The passwords that were given as values, for the Secret that the chart makes. */}}
{{- define "reconciler.givenPasswords" -}}
{{- with .Values.database.password }}
database-password: {{ toJson . }}
{{- end }}
{{- if eq .Values.state.kind "database" }}
{{- with .Values.state.database.password }}
state-password: {{ toJson . }}
{{- end }}
{{- end }}
{{- end -}}
