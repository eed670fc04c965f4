{{/* What the worker's pod and that of `helm test` share: who they are, and what they may. */}}
{{- define "reconciler.podSpec" -}}
serviceAccountName: {{ include "reconciler.serviceAccountName" . }}
automountServiceAccountToken: false
{{/* The variables of a Service named reconciler would be taken for settings: RECONCILER_PORT. */ -}}
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* What their containers share. */}}
{{- define "reconciler.container" -}}
image: {{ include "reconciler.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
env:
  {{- range $name, $value := include "reconciler.environment" . | fromYaml }}
  - name: {{ $name }}
    value: {{ $value | replace "$(" "$$(" | toJson }} # the kubelet would expand $(NAME)
  {{- end }}
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
volumeMounts:
  - {name: config, mountPath: /etc/reconciler, readOnly: true}
  {{- if include "reconciler.secretSources" . }}
  - {name: secrets, mountPath: /run/secrets/reconciler, readOnly: true}
  {{- end }}
  - {name: state, mountPath: /var/lib/reconciler}
  - {name: tmp, mountPath: /tmp}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* Volumes but that of the state. Mounted whole, not by subPath: what is rotated arrives. */}}
{{- define "reconciler.volumes" -}}
- name: config
  configMap:
    name: {{ include "reconciler.configMapName" . }}
    items: [{key: config.toml, path: config.toml}]
{{- with include "reconciler.secretSources" . }}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- . | trim | nindent 6 }}
{{- end }}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* A probe of a path. Takes {path, scheme, times}. */}}
{{- define "reconciler.probe" -}}
httpGet: {path: {{ .path }}, port: http, scheme: {{ .scheme }}}
{{ toYaml .times }}
{{- end -}}
