package command

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// watchPeriod is how often watch looks for new denials, and earlierDenials is how many it
// shows of those that were there before.
const (
	watchPeriod    = time.Second
	earlierDenials = 10
)

func watchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "watch [--count <n>] [--address <admin>] [--json]",
		Short: "Shows the denials of a running Caddy as they come",
		Long: `Shows the last 10 denials of a running Caddy, and from then on each new one, until it is
ended with Ctrl+C. With --json, each denial is an object on a line of its own, as in
GET /oss_cors/denials.

Exit status: 0; 2 if Caddy does not answer at the start. Later, watch tries again.`,
		Example: `  caddy oss-cors watch
  caddy oss-cors watch --json | jq 'select(.reason == "header")'`,
	}
	cmd.Flags().Int("count", 0, "end after so many denials; 0: do not end")
	addAddress(cmd)
	return command(cmd, "", runWatch)
}

// deniedRequest is what watch shows of a denial in GET /oss_cors/denials.
type deniedRequest struct {
	Number    uint64    `json:"number"`
	Time      time.Time `json:"time"`
	Ruleset   string    `json:"ruleset"`
	Kind      string    `json:"kind"`
	Reason    string    `json:"reason"`
	Value     string    `json:"value,omitempty"`
	Nearest   string    `json:"nearest,omitempty"`
	Origin    string    `json:"origin"`
	Method    string    `json:"method"`
	Headers   string    `json:"headers,omitempty"`
	Path      string    `json:"path"`
	Client    string    `json:"client"`
	RequestID string    `json:"request_id,omitempty"`
}

func runWatch(cmd *cobra.Command, _ string) (ok bool, err error) {
	most, _ := cmd.Flags().GetInt("count")
	if most < 0 {
		return false, usageError(fmt.Sprintf("--count is %d: a whole number from 0 is needed", most))
	}
	admin, err := adminOf(cmd)
	if err != nil {
		return false, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	shown := 0
	var last uint64 // the number of the last denial
	for first := true; ; first = false {
		var denials struct{ Latest []deniedRequest }
		err := callAdmin(ctx, admin, http.MethodGet, "/oss_cors/denials", nil, &denials)
		switch {
		case ctx.Err() != nil:
			return true, nil
		case err != nil && first:
			return false, err
		case err != nil:
			fmt.Fprintf(cmd.ErrOrStderr(), "%s\nTrying again…\n", err)
		}
		for _, d := range newDenials(denials.Latest, last, first) {
			if err := printDenial(cmd, d); err != nil {
				return false, err
			}
			if shown++; shown == most {
				return true, nil
			}
		}
		if len(denials.Latest) > 0 {
			last = denials.Latest[0].Number
		} else if err == nil {
			last = 0 // Caddy has restarted
		}
		select {
		case <-ctx.Done():
			return true, nil
		case <-time.After(watchPeriod):
		}
	}
}

// newDenials returns those after the last one, the oldest first.
func newDenials(latest []deniedRequest, last uint64, first bool) []deniedRequest {
	if len(latest) > 0 && latest[0].Number < last {
		last = 0 // Caddy has restarted
	}
	n := slices.IndexFunc(latest, func(d deniedRequest) bool { return d.Number <= last })
	if n < 0 {
		n = len(latest)
	}
	if first {
		n = min(n, earlierDenials)
	}
	fresh := slices.Clone(latest[:n])
	slices.Reverse(fresh)
	return fresh
}

func printDenial(cmd *cobra.Command, d deniedRequest) error {
	out := cmd.OutOrStdout()
	if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
		enc := json.NewEncoder(out)
		enc.SetEscapeHTML(false)
		return enc.Encode(d)
	}
	p := &printer{colored: isTerminal(out)}
	reason := d.Reason
	if d.Value != "" {
		reason += " " + d.Value
	}
	nearest := ""
	if d.Nearest != "" {
		nearest = ", nearest rule " + d.Nearest
	}
	p.linef("%s %s %s %s from %s: %s%s (%s, client %s)", d.Time.Local().Format(time.TimeOnly), d.Kind,
		printable(d.Method), printable(d.Path), p.color(bold, printable(d.Origin)), p.color(red, printable(reason)), printable(nearest), printable(d.Ruleset), printable(d.Client))
	_, err := p.WriteTo(out)
	return err
}
