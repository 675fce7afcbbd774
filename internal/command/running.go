package command

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/caddy-oss-cors/caddy-oss-cors/internal/console"
)

func addAddress(cmd *cobra.Command) {
	cmd.Flags().String("address", caddy.DefaultAdminListen, "the `address` of Caddy's admin endpoint: host:port, or unix//path/to/socket")
}

// adminOf returns the admin endpoint that --address names.
func adminOf(cmd *cobra.Command) (*console.Admin, error) {
	address, _ := cmd.Flags().GetString("address")
	admin, err := console.NewAdmin(address)
	if err != nil {
		return nil, usageError(err.Error())
	}
	return admin, nil
}

// callAdmin sends a request, with a body if there is one, and reads the answer into result.
func callAdmin(ctx context.Context, admin *console.Admin, method, path string, body, result any) error {
	var sent io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(text)
	}
	response, err := admin.Do(ctx, method, path, sent)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	dec := json.NewDecoder(response.Body)
	if response.StatusCode != http.StatusOK {
		var refused struct{ Error string }
		_ = dec.Decode(&refused) // where it is not Caddy's form, the status says enough
		return fmt.Errorf("the admin endpoint answers %s: %s", response.Status, cmp.Or(refused.Error, "is oss_cors in this Caddy?"))
	}
	if err := dec.Decode(result); err != nil {
		return fmt.Errorf("the admin endpoint's answer cannot be read: %w", err)
	}
	return nil
}
