package browsers

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// firefox is a tab of a Firefox, driven by WebDriver BiDi.
type firefox struct {
	conn    net.Conn
	context string // the tab
	lastID  int
	printed []string
}

// openFirefox starts a Firefox with a profile of its own. It ends with the test; without
// one the test fails.
func openFirefox(t *testing.T) matrixBrowser {
	t.Helper()
	f := new(firefox)
	var err error
	if f.conn, _, _, err = ws.Dial(context.Background(), startFirefox(t)+"/session"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.conn.Close() })
	if err := f.conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	capabilities := map[string]any{"alwaysMatch": map[string]any{"acceptInsecureCerts": true}}
	if err := f.call("session.new", map[string]any{"capabilities": capabilities}, nil); err != nil {
		t.Fatal(err)
	}
	if err := f.call("session.subscribe", map[string]any{"events": []string{"log.entryAdded"}}, nil); err != nil {
		t.Fatal(err)
	}
	var tab struct{ Context string }
	if err := f.call("browsingContext.create", map[string]any{"type": "tab"}, &tab); err != nil {
		t.Fatal(err)
	}
	f.context = tab.Context
	return f
}

// startFirefox returns the address that Firefox listens at.
func startFirefox(t *testing.T) (address string) {
	t.Helper()
	var cmd *exec.Cmd
	for _, name := range []string{"firefox-esr", "firefox"} {
		if path, err := exec.LookPath(name); err == nil {
			cmd = exec.Command(path, "--headless", "--no-remote", "--remote-debugging-port=0")
			break
		}
	}
	if cmd == nil {
		t.Fatal("no Firefox: install it with: apt-get install firefox-esr")
	}
	// Not t.TempDir: Firefox may write into its profile until its last child has ended.
	home, err := os.MkdirTemp("", "oss-cors-firefox-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	profile := filepath.Join(home, "profile")
	if err := os.Mkdir(profile, 0o777); err != nil {
		t.Fatal(err)
	}
	cmd.Args = append(cmd.Args, "--profile", profile, "about:blank")
	cmd.Env = append(os.Environ(), "HOME="+home)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	found := make(chan string, 1)
	ended := make(chan struct{})
	var log harness.LogBuffer
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(io.TeeReader(stderr, &log)); lines.Scan(); {
			if _, address, ok := strings.Cut(lines.Text(), "WebDriver BiDi listening on "); ok {
				found <- address
			}
		}
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
	})
	select {
	case address = <-found:
	case <-ended:
		t.Fatalf("Firefox has ended before it answered:\n%s", log.String())
	case <-time.After(30 * time.Second):
		t.Fatalf("Firefox does not answer:\n%s", log.String())
	}
	return address
}

// call sends a command and waits for its answer.
func (f *firefox) call(method string, params map[string]any, result any) error {
	f.lastID++
	command, err := json.Marshal(map[string]any{"id": f.lastID, "method": method, "params": params})
	if err != nil {
		return err
	}
	if err := wsutil.WriteClientText(f.conn, command); err != nil {
		return err
	}
	for {
		message, err := wsutil.ReadServerText(f.conn)
		if err != nil {
			return err
		}
		var answer struct {
			ID             int
			Result         json.RawMessage
			Error, Message string
			Params         struct{ Text string } // of an event
		}
		if err := json.Unmarshal(message, &answer); err != nil {
			return err
		}
		switch {
		case answer.ID != f.lastID: // log.entryAdded
			f.printed = append(f.printed, answer.Params.Text)
		case answer.Error != "":
			return fmt.Errorf("%s: %s: %s", method, answer.Error, answer.Message)
		case result == nil:
			return nil
		default:
			return json.Unmarshal(answer.Result, result)
		}
	}
}

func (f *firefox) navigate(url string) error {
	return f.call("browsingContext.navigate", map[string]any{"context": f.context, "url": url, "wait": "complete"}, nil)
}

func (f *firefox) evaluate(expression string) (string, error) {
	var answer struct {
		Result           struct{ Value string }
		ExceptionDetails struct{ Text string }
	}
	err := f.call("script.evaluate", map[string]any{
		"expression": expression, "awaitPromise": true, "target": map[string]any{"context": f.context}}, &answer)
	if err == nil && answer.ExceptionDetails.Text != "" {
		err = errors.New(answer.ExceptionDetails.Text)
	}
	return answer.Result.Value, err
}

func (f *firefox) refusals() map[string][]string { return nil }

// console reads the events that have come before the answer to a command.
func (f *firefox) console() []string {
	_ = f.call("session.status", map[string]any{}, nil)
	return f.printed
}

// firefoxDepartures are the cases where Firefox (153) departs from the Fetch standard, and
// in which way.
var firefoxDepartures = map[string]string{
	// Without crossorigin, a page learns what another origin's script throws.
	"script":           theResult,
	"script, stranger": theResult,

	// It sends another preflight after a redirect, even if the request has become a simple
	// one, and with the page's origin where the request has null. Pages still learn what the
	// standard says.
	"303 of a PUT":                           theRequests,
	"307 of a PUT to another bucket":         theRequests,
	"307 of a PUT to another bucket, denied": theRequests,
	"Authorization stays behind":             theRequests,
}

func (f *firefox) departs(c *matrixCase, what string) bool { return firefoxDepartures[c.name] == what }
