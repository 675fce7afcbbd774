package test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"
)

// livelyTime is how long livelyTraffic takes: a day, made short.
const livelyTime = 4 * time.Minute

// livelyRequest is a kind of request and how many a second there are of it at a time from
// 0 to 1.
type livelyRequest struct {
	rate         func(at float64) float64
	method, path string
	header       func() http.Header
}

// livelyTraffic sends what a site sees in a day. In it, a shop of which the rules know
// nothing goes online, the rules document is broken for a while and then mended, and so is
// Caddy's configuration.
func livelyTraffic(t *testing.T, o *observability) {
	t.Helper()
	mend := func() {}
	events := []struct {
		at float64
		do func()
	}{
		{0.58, func() { mend = o.breakRules(t) }},
		{0.66, func() { mend() }},
		{0.78, func() { o.reload(t, false) }},
		{0.84, func() { o.reload(t, true) }},
	}
	const tick = 50 * time.Millisecond
	random := rand.New(rand.NewPCG(1, 2))
	due := make([]float64, len(livelyMix))
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for start := time.Now(); ; <-ticker.C {
		at := time.Since(start).Seconds() / livelyTime.Seconds()
		if at >= 1 || t.Failed() {
			return
		}
		for len(events) > 0 && events[0].at <= at {
			events[0].do()
			events = events[1:]
		}
		for i, r := range livelyMix {
			due[i] += r.rate(at) * tick.Seconds() * 2 * random.Float64()
			for ; due[i] >= 1; due[i]-- {
				o.ask(t, r.method, r.path, r.header())
			}
		}
	}
}

// day is a rate that is low at night, with peaks before and after noon.
func day(rate float64) func(float64) float64 {
	return func(at float64) float64 {
		return rate * (0.25 + 0.75*math.Pow(math.Sin(math.Pi*at), 2)*(1+0.25*math.Cos(6*math.Pi*at)))
	}
}

// steady is a rate that does not change.
func steady(rate float64) func(float64) float64 {
	return func(float64) float64 { return rate }
}

// during limits a rate to a part of the time.
func during(from, to float64, rate func(float64) float64) func(float64) float64 {
	return func(at float64) float64 {
		if at < from || to <= at {
			return 0
		}
		return rate(at) * math.Min(1, math.Min(at-from, to-at)*20)
	}
}

func from(origin string) func() http.Header {
	return func() http.Header { return headers("Origin", origin) }
}

func preflightFrom(origin, method, requestHeaders string) func() http.Header {
	return func() http.Header { return asking(origin, method, requestHeaders) }
}

var livelyMix = []livelyRequest{
	// Allowed.
	{day(24), "GET", "/photo.jpg", from(appOrigin)},
	{day(6), "OPTIONS", "/photo.jpg", preflightFrom(appOrigin, "PUT", "content-type,x-oss-date")},
	{day(6), "PUT", "/photo.jpg", from(appOrigin)},
	{day(14), "GET", "/downloads/tool.zip", from("https://mirror.example.org")},
	{during(0.1, 0.9, day(7)), "GET", "/photo.jpg", func() http.Header {
		return headers("Origin", fmt.Sprintf("https://pr-%d.preview.example.com", rand.IntN(20)))
	}},
	{during(0.3, 0.5, steady(5)), "GET", "/static/app.js", from(appOrigin)},
	{during(0.15, 1, day(3)), "GET", "/legacy/list", from(appOrigin)},

	// Denied: the shop, others' pages, and what the rules know of but do not list.
	{during(0.42, 0.56, steady(16)), "GET", "/photo.jpg", from("https://shop.example.com")},
	{during(0.42, 0.56, steady(5)), "OPTIONS", "/photo.jpg", preflightFrom("https://shop.example.com", "PUT", "content-type")},
	{day(1.6), "GET", "/report.csv", from("https://office.example.com")},
	{day(0.8), "OPTIONS", "/report.csv", preflightFrom("https://office.example.com", "GET", "")},
	{day(1.5), "OPTIONS", "/photo.jpg", preflightFrom(appOrigin, "PUT", "content-type,x-trace-id")},
	{during(0.2, 0.8, day(1)), "OPTIONS", "/photo.jpg", preflightFrom(appOrigin, "DELETE", "")},
	{day(1.1), "GET", "/photo.jpg", from("https://forum.example.net")},
	{steady(0.5), "GET", "/photo.jpg", from("null")},
	{steady(0.4), "GET", "/photo.jpg", from("http://localhost:5173")},
	{steady(0.3), "OPTIONS", "/downloads/tool.zip", preflightFrom("https://mirror.example.org", "DELETE", "")},
	{steady(0.6), "GET", "/photo.jpg", func() http.Header {
		return headers("Origin", fmt.Sprintf("https://%08x.example", rand.Uint32()))
	}},

	// No matter of CORS.
	{day(8), "GET", "/photo.jpg", func() http.Header { return http.Header{} }},
	{day(2), "POST", "/comment", func() http.Header {
		return headers("Origin", "https://forum.example.net", "Sec-Fetch-Mode", "navigate")
	}},
}
