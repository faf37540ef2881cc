// Command haplane builds and operates highly available Kubernetes control planes.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/haplane/haplane/internal/cli"
)

func main() {
	// An ordinary user's PATH lacks where iptables is, and sudo keeps it where told to.
	_ = os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Run(ctx, os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	stop()
	os.Exit(code)
}
