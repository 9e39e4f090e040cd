// The images: `docker buildx bake`; `REGISTRY=registry.example.com docker buildx bake --push` puts them where a
// cluster gets them. docs/release.md says more.

variable "REGISTRY" {
  default = "registry.hcs-operator.dev"
}

variable "VERSION" {
  default = "0.1.0"
}

group "default" {
  targets = ["agent", "controller"]
}

target "image" {
  context = "."
  attest = [
    "type=sbom",
    "type=provenance,mode=max",
  ]
  labels = {
    "org.opencontainers.image.licenses" = "Apache-2.0"
    "org.opencontainers.image.version"  = VERSION
  }
}

target "agent" {
  inherits   = ["image"]
  dockerfile = "images/agent.Dockerfile"
  platforms  = ["windows/amd64"]
  tags       = ["${REGISTRY}/hcs-operator-agent:${VERSION}"]
}

target "controller" {
  inherits   = ["image"]
  dockerfile = "images/controller.Dockerfile"
  platforms  = ["linux/amd64"]
  tags       = ["${REGISTRY}/hcs-operator-controller:${VERSION}"]
}
