module github.com/haplane/haplane/components/workload

go 1.26.0
