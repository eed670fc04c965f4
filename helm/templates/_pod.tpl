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
  {{- if .Values.http.webConfig.existingSecret }}
  - {name: web-config, mountPath: /run/secrets/reconciler-web, readOnly: true}
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
{{- with .Values.http.webConfig.existingSecret }}
- name: web-config
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* A probe of a path, or by TCP of the port alone. Takes {root, path, times}. */}}
{{- define "reconciler.probe" -}}
{{- $scheme := include "reconciler.probeScheme" .root -}}
{{- if eq $scheme "TCP" -}}
tcpSocket: {port: http}
{{- else -}}
httpGet: {path: {{ .path }}, port: http, scheme: {{ $scheme }}}
{{- end }}
{{ toYaml .times }}
{{- end -}}

{{- define "reconciler.probeScheme" -}}
{{- default (include "reconciler.scheme" . | upper) .Values.probes.scheme -}}
{{- end -}}

{{/* How the port is spoken to. With a web configuration file `https`, as helm cannot read what is in it. */}}
{{- define "reconciler.scheme" -}}
{{- $said := default (ternary "HTTPS" "HTTP" (ne .Values.http.webConfig.existingSecret "")) .Values.probes.scheme -}}
{{- ternary "http" "https" (eq $said "HTTP") -}}
{{- end -}}

{{/* Where several pods should be: apart, if that can be done. */}}
{{- define "reconciler.spread" -}}
{{- if .Values.topologySpreadConstraints -}}
{{ toYaml .Values.topologySpreadConstraints }}
{{- else if gt (int .Values.replicas) 1 -}}
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
- maxSkew: 1
  topologyKey: {{ . }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "reconciler.selectorLabels" $ | nindent 6 }}
{{- end }}
{{- end -}}
{{- end -}}
