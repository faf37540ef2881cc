#!/bin/sh
# As in kubeadm's "High Availability Considerations": whether an API server is well, seen through the HAProxy of this machine.
if ! curl -sfk --max-time 2 --output /dev/null https://localhost:{{.Port}}/healthz; then
    echo "no answer to GET https://localhost:{{.Port}}/healthz" >&2
    exit 1
fi
