package browsers

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// operatorScript does on the console's page what an operator does: it chooses the denied
// origin, and adds the missing line to the candidate rules. It resolves to what the page says.
const operatorScript = `(async () => {
	const until = async (holds) => {
		for (let i = 0; i < 150 && !holds(); i++) await new Promise((resolve) => setTimeout(resolve, 100));
		if (!holds()) throw new Error('not within 15 s: ' + holds + ' in ' + document.body.innerText);
	};
	const text = (id) => document.getElementById(id).innerText;
	await until(() => document.querySelector('#origins button'));
	document.querySelector('#origins button').click();
	await until(() => document.querySelector('#actions button'));
	document.querySelector('#actions button').click();
	await until(() => text('changes').includes('would be allowed'));
	let stopped = '';
	try { document.body.innerHTML = '<b>x</b>'; } catch (error) { stopped = error.name; }
	return [text('verdict'), document.querySelector('.source .add').textContent, text('changes'), document.scripts.length, stopped].join('\n');
})()`

// The console works in both browsers. What else it does, test/console tests in Chromium.
func TestConsolePage(t *testing.T) {
	tb := harness.StartTestbed(t, harness.TestbedConfig{})
	request, err := http.NewRequest(http.MethodOptions, "http://"+tb.Addr+"/photos/1.jpg", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = harness.PreflightHeader("https://app.example.com", "PUT", "x-upload-id")
	answer, err := harness.FreshClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	port := harness.FreePorts(t, 1)[0]
	harness.StartServer(t, port, harness.CaddyBinary(t), "oss-cors", "console", "--address", strings.TrimPrefix(tb.Admin, "http://"), "--listen", "127.0.0.1:"+port)
	for name, open := range map[string]func(*testing.T) matrixBrowser{"Chromium": openChromium, "Firefox": openFirefox} {
		t.Run(name, func(t *testing.T) {
			browser := open(t)
			if err := browser.navigate("http://127.0.0.1:" + port + "/"); err != nil {
				t.Fatal(err)
			}
			said, err := browser.evaluate(operatorScript)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{
				"denied", "the header x-upload-id is not allowed. The nearest rule is app.", "+ <AllowedHeader>x-upload-id</AllowedHeader>",
				"1 of 1 different denial would be allowed", "\n1\n",
			} {
				if !strings.Contains(said, want) {
					t.Errorf("the page lacks %q:\n%s", want, said)
				}
			}
		})
	}
}
