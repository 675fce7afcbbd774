package command

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/caddy-oss-cors/caddy-oss-cors/internal/console"
)

// defaultConsole is where the console listens: the port after the admin endpoint's.
const defaultConsole = "localhost:2020"

func consoleCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "console [--address <admin>] [--listen <host:port>]",
		Short: "Serves a page that shows what the running proxy denies, and why",
		Long: `Serves a page, on this machine only, that shows the rule sets of a running Caddy, its
latest denials and which rule was nearest, explains requests, and checks candidate rules.
It changes nothing.

It passes on to the admin endpoint what the page needs to read, and nothing else.`,
		Example: `  caddy oss-cors console
  caddy oss-cors console --address unix//run/caddy/admin.sock --listen localhost:8020`,
	}
	addAddress(cmd)
	cmd.Flags().String("listen", defaultConsole, "where to serve the page: `host:port`, with localhost or a loopback address")
	cmd = command(cmd, "", runConsole)
	_ = cmd.Flags().MarkHidden("json") // it has nothing to print
	return cmd
}

func runConsole(cmd *cobra.Command, _ string) (ok bool, err error) {
	admin, err := adminOf(cmd)
	if err != nil {
		return false, err
	}
	listen, _ := cmd.Flags().GetString("listen")
	listener, err := console.Listen(listen)
	if err != nil {
		return false, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	server := console.New(admin, listener)
	context.AfterFunc(ctx, func() { _ = server.Close() })
	fmt.Fprintf(cmd.OutOrStdout(), "The console is at http://%s/ (Ctrl+C ends it).\n", listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return false, err
	}
	return true, nil
}
