package bucketapi

import (
	"fmt"
	"strings"
	"testing"
)

// No way of printing a key, or what holds one, shows its secret.
func TestSecretIsNotPrinted(t *testing.T) {
	const secret = "do not print me"
	key := Key{ID: "id", Secret: secret, Buckets: []string{"b*"}}
	for _, value := range []any{key, &key, []Key{key}, map[string]Key{"k": key}, struct{ K Key }{key}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%08.3f"} {
			got := fmt.Sprintf(verb, value)
			if strings.Contains(got, secret) || strings.Contains(strings.ToLower(got), fmt.Sprintf("%x", secret)) {
				t.Errorf("%s of a %T: %s", verb, value, got)
			}
		}
	}
	if got, want := fmt.Sprint(key), `access key "id" for ["b*"]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestKeysThatAreRefused(t *testing.T) {
	good := Key{ID: "id", Secret: "secret", Buckets: []string{"bucket"}}
	for _, c := range []struct {
		desc   string
		change func(*Key)
		want   string
	}{
		{"no id", func(k *Key) { k.ID = "" }, `access key "": the ID must be 1 to 128`},
		{"an id with a colon", func(k *Key) { k.ID = "a:b" }, `access key "a:b": the ID`},
		{"an id with a slash", func(k *Key) { k.ID = "a/b" }, `access key "a/b": the ID`},
		{"an endless id", func(k *Key) { k.ID = strings.Repeat("a", 129) }, "the ID must be 1 to 128"},
		{"no secret", func(k *Key) { k.Secret = "" }, `access key "id": the secret is empty`},
		{"a secret with a line end", func(k *Key) { k.Secret = "s3cret\n" }, `access key "id": the secret begins or ends with white space`},
		{"no buckets", func(k *Key) { k.Buckets = nil }, `access key "id": no buckets`},
		{"an empty bucket", func(k *Key) { k.Buckets = []string{""} }, `access key "id": bucket "" is empty`},
		{"two wildcards", func(k *Key) { k.Buckets = []string{"*a*"} }, `access key "id": bucket "*a*" has more than one *`},
		{"an impossible bucket", func(k *Key) { k.Buckets = []string{"My_Bucket"} }, `access key "id": bucket "My_Bucket" matches no bucket`},
	} {
		key := good
		c.change(&key)
		_, err := New([]Key{key}, nil, 0)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.desc, err, c.want)
		} else if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: the error tells the secret: %v", c.desc, err)
		}
	}
	if _, err := New([]Key{good, good}, nil, 0); err == nil || !strings.Contains(err.Error(), `access key "id": there is another one`) {
		t.Errorf("the same ID twice: got %v", err)
	}
	if _, err := New(nil, nil, 0); err == nil || !strings.Contains(err.Error(), "no access key") {
		t.Errorf("no keys: got %v", err)
	}
	if _, err := New([]Key{{ID: "a b", Secret: "x", Buckets: []string{"A"}}, {}}, nil, 0); len(strings.Split(err.Error(), "\n")) != 5 {
		t.Errorf("not everything that is wrong is told:\n%v", err)
	}
}

func TestActsOn(t *testing.T) {
	for _, c := range []struct {
		pattern, bucket string
		want            bool
	}{
		{"bucket", "bucket", true},
		{"bucket", "bucket2", false},
		{"bucket", "buc", false},
		{"*", "bucket", true},
		{"team-*", "team-a", true},
		{"team-*", "team-", true},
		{"team-*", "team", false},
		{"team-*", "a-team-b", false},
		{"*-logs", "a-logs", true},
		{"a*a", "a", false},
		{"a*a", "aa", true},
		{"a*b", "a-b", true},
		{"a*b", "a-bc", false},
	} {
		if got := (Key{Buckets: []string{"other", c.pattern}}).actsOn(c.bucket); got != c.want {
			t.Errorf("%s on %s: got %v", c.pattern, c.bucket, got)
		}
	}
}
