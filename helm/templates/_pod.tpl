{{/* What the worker's pod and that of `helm test` share: who they are, and what they may. */}}
{{- define "reconciler.podSpec" -}}
serviceAccountName: {{ include "reconciler.serviceAccountName" . }}
automountServiceAccountToken: false
{{/* The variables of a Service named reconciler would be taken for settings: RECONCILER_PORT. */ -}}
enableServiceLinks: false
{{- with include "reconciler.pullSecrets" . | fromJsonArray }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .Values.schedulerName }}
schedulerName: {{ . }}
{{- end }}
{{- with .Values.dnsPolicy }}
dnsPolicy: {{ . }}
{{- end }}
{{- with .Values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
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

{{/* The containers before that of `helm test`. One that would never end goes there as a native sidecar, so that the pod ends with the test. */}}
{{- define "reconciler.testInitContainers" -}}
{{- $containers := .Values.extraInitContainers -}}
{{- if include "reconciler.nativeSidecars" . -}}
{{- range .Values.extraContainers -}}
{{- $containers = append $containers (merge (dict "restartPolicy" "Always") .) -}}
{{- end -}}
{{- end -}}
{{- with $containers }}
{{- toYaml . }}
{{- end }}
{{- end -}}

{{/* Whether the cluster keeps init containers with `restartPolicy: Always` running: by default from 1.29 on. */}}
{{- define "reconciler.nativeSidecars" -}}
{{- if semverCompare ">=1.29.0-0" .Capabilities.KubeVersion.Version }}yes{{ end -}}
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
{{- with .Values.extraEnvFrom }}
envFrom:
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
