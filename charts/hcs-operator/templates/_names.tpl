{{/* Labels of every object. Its name is the same in every release: there is one hcs-operator a cluster. */}}
{{- define "hcs-operator.labels" -}}
{{ include "hcs-operator.labelsWith" (dict "root" . "more" dict) }}
{{- end }}

{{/* The same with more. What the chart itself finds objects by cannot be changed. */}}
{{- define "hcs-operator.labelsWith" -}}
{{- $own := dict
  "app.kubernetes.io/name" "hcs-operator"
  "app.kubernetes.io/part-of" "hcs-operator"
  "app.kubernetes.io/instance" .root.Release.Name
  "app.kubernetes.io/version" .root.Chart.AppVersion
  "app.kubernetes.io/managed-by" .root.Release.Service
  "helm.sh/chart" (printf "%s-%s" .root.Chart.Name (.root.Chart.Version | replace "+" "_")) }}
{{- with .part }}
{{- $own = set $own "app.kubernetes.io/component" . }}
{{- end }}
{{- toYaml (merge $own .more .root.Values.commonLabels) }}
{{- end }}

{{/* Labels of the alerts. */}}
{{- define "hcs-operator.alertLabels" -}}
{{ include "hcs-operator.labelsWith" (dict "root" . "more" .Values.metrics.prometheusRule.labels) }}
{{- end }}

{{/* Annotations of every object. */}}
{{- define "hcs-operator.annotations" -}}
{{- with .Values.commonAnnotations }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{/* Annotations of a CustomResourceDefinition. If it goes, all objects of its kind go with it. */}}
{{- define "hcs-operator.crdAnnotations" -}}
{{- $own := ternary (dict "helm.sh/resource-policy" "keep") (dict) .Values.crds.keep }}
{{- with merge $own .Values.commonAnnotations }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{/* What a part's pods are found by. */}}
{{- define "hcs-operator.selector" -}}
app.kubernetes.io/name: hcs-operator
app.kubernetes.io/component: {{ . }}
{{- end }}

{{/* Labels of a part's pods: without a version, so that an upgrade that changes nothing restarts nothing. */}}
{{- define "hcs-operator.podLabels" -}}
{{- $own := dict
  "app.kubernetes.io/name" "hcs-operator"
  "app.kubernetes.io/part-of" "hcs-operator"
  "app.kubernetes.io/component" .part }}
{{- toYaml (merge $own .values.podLabels .root.Values.commonLabels) }}
{{- end }}

{{/* A part's image. */}}
{{- define "hcs-operator.image" -}}
{{- $image := .values.image }}
{{- $name := printf "%s/%s" .root.Values.image.registry $image.repository }}
{{- if $image.digest }}
{{- printf "%s@%s" $name $image.digest }}
{{- else }}
{{- printf "%s:%s" $name ($image.tag | default .root.Chart.AppVersion) }}
{{- end }}
{{- end }}

{{/* The agents' settings file. */}}
{{- define "hcs-operator.settings" -}}
{{- $address := ternary (dict "httpAddress" "0.0.0.0:9640") (dict) .Values.metrics.enabled }}
{{- toYaml (merge (dict "namespace" .Release.Namespace) .Values.agent.settings $address) }}
{{- end }}
