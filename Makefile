# make build    bin/haplane
# make up       build it and bring up the default cluster on this machine (root)
# make test     lint, unit tests, end-to-end tests on real machines (root)
# make e2e-all  the end-to-end tests that take longer: larger clusters, stops in any order (root)
# make e2e-live a day in the life of a cluster that changes: nodes come and go, haplane is killed (root)
# make e2e-change keys, certificates, identity and etcd of a cluster that runs, one after another (root)
# make e2e-upgrade an upgrade from the older minor of Kubernetes, which is built first where it is not yet: up to an hour (root)
# make e2e-host a virtual machine with systemd and cgroup v2 as the host of a cluster (root)
# make bench    print how fast it is on this machine (root)
#
# Debian's packages that are missing are installed first; NO_INSTALL=1 only says which.

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo v0.1.0-dev)
LDFLAGS := -s -w -X github.com/haplane/haplane/internal/cli.Version=$(VERSION)
SUDO    := $(shell [ "$$(id -u)" = 0 ] || echo sudo --preserve-env=HOME,CI,KUBECONFIG,HAPLANE_HOME,HAPLANE_CACHE env PATH=$$PATH)

export CGO_ENABLED = 0
export PATH := $(PATH):/usr/local/go/bin

.PHONY: build up down test lint unit image e2e e2e-all e2e-live e2e-change e2e-upgrade e2e-host bench ready-go ready-build ready-test ready-host
ready-go ready-build ready-test ready-host: ready-%:
	@tools/prerequisites $(patsubst host,build test host,$(patsubst test,build test,$*))

build: ready-go
	go build -trimpath -ldflags "$(LDFLAGS)" -o bin/haplane ./cmd/haplane

up: ready-build build
	$(SUDO) bin/haplane up

down: build
	$(SUDO) bin/haplane down --yes

test: ready-test lint unit e2e

lint: ready-go
	@test -z "$$(gofmt -l cmd e2e internal spec components)" || { echo "gofmt these:"; gofmt -l cmd e2e internal spec components; exit 1; }
	go vet ./...
	go vet -tags e2e ./...
	go tool -modfile=tools/go.mod depguard ./...

unit: ready-go
	go test ./...
	go -C components/flannel test -trimpath ./...
	go -C components/workload test -trimpath ./...

# The components and the golden image, built from source as far as the cache lacks them.
image: ready-build build
	$(SUDO) bin/haplane image build

# Tests named TestLong are those of e2e-all, TestLive those of e2e-live, TestChange those of e2e-change, TestUpgrade those
# of e2e-upgrade, TestHost those of e2e-host. RUN and SKIP choose among those of e2e-live.
e2e: ready-test image
	$(SUDO) go test -tags e2e -count=1 -timeout 45m -p 1 -v -skip '^Test(Long|Live|Change|Upgrade|Host)' ./internal/agent ./internal/image ./internal/provider/nspawn ./e2e

e2e-all: ready-test image
	$(SUDO) go test -tags e2e -count=1 -timeout 120m -v -run '^TestLong' ./e2e

e2e-live: ready-test image
	$(SUDO) go test -tags e2e -count=1 -timeout 60m -v -run '$(or $(RUN),^TestLive)' $(if $(SKIP),-skip '$(SKIP)') ./e2e

e2e-change: ready-test image
	$(SUDO) go test -tags e2e -count=1 -timeout 100m -v -run '^TestChange' ./e2e

e2e-upgrade: ready-test image
	$(SUDO) bin/haplane image build --kubernetes v1.36
	$(SUDO) go test -tags e2e -count=1 -timeout 60m -v -run '^TestUpgrade' ./e2e

e2e-host: ready-host image
	$(SUDO) go test -tags e2e -count=1 -timeout 40m -v -run '^TestHost' ./e2e

bench: ready-test image
	$(SUDO) go run ./e2e/bench
