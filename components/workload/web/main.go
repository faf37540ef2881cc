// Command web is a workload to test a cluster with: a small HTTP server, and a
// client to run by kubectl exec in images that have no shell.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// version is set by the build.
var version = "dev"

const usage = `usage: web [--listen ADDRESS]      serve /, /healthz and /kube[/PATH]
       web get [--timeout D] URL   print the answer's status and body
       web resolve NAME            print the name's addresses
       web kube [PATH]             ask the API server as this pod's service account
       web probe [--period D] [--timeout D]
                                   ask it on a fixed schedule, and print what came of it as JSON
       web --version
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	fs := flag.NewFlagSet("web", flag.ContinueOnError)
	fs.Usage = func() { fmt.Fprint(fs.Output(), usage) }
	listen := fs.String("listen", ":8080", "")
	timeout := fs.Duration("timeout", 5*time.Second, "")
	period := fs.Duration("period", 20*time.Millisecond, "")
	showVersion := fs.Bool("version", false, "")
	command := ""
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		command, args = args[0], args[1:]
	}
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	if *showVersion {
		_, err := fmt.Fprintln(out, "web", version)
		return err
	}
	switch command {
	case "":
		return serve(ctx, *listen)
	case "probe":
		return probeKube(ctx, out, *period, *timeout)
	}
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	switch command {
	case "get":
		return get(ctx, out, fs.Arg(0))
	case "resolve":
		return resolve(ctx, out, fs.Arg(0))
	case "kube":
		return kube(ctx, out, fs.Arg(0))
	}
	return fmt.Errorf("unknown command %q\n%s", command, usage)
}
