// Command rediscaddy is a Caddy with oss_cors that keeps its storage in Redis. It is for tests
// alone. As the storage modules that people use, it can be told to hide failures:
//
//	storage redis {
//		address <address>
//		hide_failures
//	}
package main

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"github.com/caddyserver/certmagic"
	"github.com/redis/go-redis/v9"

	_ "github.com/caddy-oss-cors/caddy-oss-cors"
)

func init() { caddy.RegisterModule(new(storage)) }

func main() { caddycmd.Main() }

// storage keeps each key in a hash with the fields value and modified.
type storage struct {
	Address string `json:"address,omitempty"`

	// HideFailures has it say fs.ErrNotExist when Redis fails, except for Store.
	HideFailures bool `json:"hide_failures,omitempty"`

	client *redis.Client
	locks  sync.Map // *sync.Mutex by name: Caddy alone uses them, for certificates
}

func (*storage) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.storage.redis", New: func() caddy.Module { return new(storage) }}
}

func (s *storage) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the module's name
	for d.NextBlock(0) {
		switch d.Val() {
		case "address":
			if !d.AllArgs(&s.Address) {
				return d.ArgErr()
			}
		case "hide_failures":
			s.HideFailures = true
		default:
			return d.ArgErr()
		}
	}
	return nil
}

func (s *storage) Provision(caddy.Context) error {
	s.client = redis.NewClient(&redis.Options{
		Addr: s.Address, MaxRetries: -1,
		DialTimeout: time.Second, ReadTimeout: time.Second, WriteTimeout: time.Second,
	})
	return nil
}

func (s *storage) Cleanup() error { return s.client.Close() }

func (s *storage) CertMagicStorage() (certmagic.Storage, error) { return s, nil }

// failure returns what is said of an error of Redis.
func (s *storage) failure(err error) error {
	if err != nil && s.HideFailures {
		return fs.ErrNotExist
	}
	return err
}

func (s *storage) Store(ctx context.Context, key string, value []byte) error {
	return s.client.HSet(ctx, key, "value", value, "modified", time.Now().UnixNano()).Err()
}

func (s *storage) Load(ctx context.Context, key string) ([]byte, error) {
	value, err := s.client.HGet(ctx, key, "value").Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, fs.ErrNotExist
	}
	return value, s.failure(err)
}

func (s *storage) Delete(ctx context.Context, key string) error {
	return s.failure(s.client.Del(ctx, key).Err())
}

func (s *storage) Exists(ctx context.Context, key string) bool {
	n, err := s.client.Exists(ctx, key).Result()
	return err == nil && n > 0
}

func (s *storage) List(ctx context.Context, prefix string, _ bool) ([]string, error) {
	keys, err := s.client.Keys(ctx, prefix+"*").Result()
	return keys, s.failure(err)
}

func (s *storage) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	size, err := s.client.Do(ctx, "HSTRLEN", key, "value").Int64()
	if err != nil {
		return certmagic.KeyInfo{}, s.failure(err)
	}
	modified, err := s.client.HGet(ctx, key, "modified").Int64()
	if errors.Is(err, redis.Nil) {
		return certmagic.KeyInfo{}, fs.ErrNotExist
	}
	return certmagic.KeyInfo{Key: key, Size: size, Modified: time.Unix(0, modified), IsTerminal: true}, s.failure(err)
}

func (s *storage) Lock(_ context.Context, name string) error {
	mu, _ := s.locks.LoadOrStore(name, new(sync.Mutex))
	mu.(*sync.Mutex).Lock()
	return nil
}

func (s *storage) Unlock(_ context.Context, name string) error {
	if mu, ok := s.locks.Load(name); ok {
		mu.(*sync.Mutex).Unlock()
	}
	return nil
}
