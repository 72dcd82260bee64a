// Command ampy-bus-go is the driver of the published Go library github.com/AmpyFin/ampy-bus: thin
// calls into its public API, with nothing added and nothing mended.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime/debug"

	"ampy-conform.invalid/kit/driverkit"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/obs"
)

const library = "github.com/AmpyFin/ampy-bus"

func main() {
	tracing := flag.Bool("tracing", true, "call the library's obs.InitTracer, as a traced service does")
	listen := flag.Int("listen", 0, "wait on this local TCP port instead of using standard input")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: ampy-bus-go [options] nats|kafka")
		flag.PrintDefaults()
	}
	flag.Parse()
	build, known := map[string]func(*driverkit.Link) driverkit.Driver{"nats": newNATS, "kafka": newKafka}[flag.Arg(0)]
	if !known || flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if *tracing {
		// Without an endpoint it exports nothing; the propagator and valid ids are all that is needed.
		if _, err := obs.InitTracer(context.Background(), "ampy-bus-go-driver", ""); err != nil {
			fmt.Fprintln(os.Stderr, "the tracer cannot be set up:", err)
			os.Exit(1)
		}
	}
	if *listen == 0 {
		driverkit.Serve(build)
	} else if err := driverkit.Listen(build, *listen); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// identity says who is under test; the versions are those that were built in.
func identity(broker, client string) driverkit.Identity {
	return driverkit.Identity{
		Name:     "ampy-bus-go",
		Version:  version(library),
		Language: "go",
		Broker:   broker,
		Homepage: "https://" + library,
		Source:   library + "@" + version(library),
		Client:   client[lastSlash(client)+1:] + " " + version(client),
	}
}

func version(module string) string {
	build, _ := debug.ReadBuildInfo()
	for _, each := range build.Deps {
		if each.Path == module {
			return each.Version
		}
	}
	return "unknown"
}

func lastSlash(path string) int {
	for at := len(path) - 1; at >= 0; at-- {
		if path[at] == '/' {
			return at
		}
	}
	return -1
}
