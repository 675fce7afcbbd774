package command

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

// logChunk is how many bytes of a log are read at once, and the longest line that is
// understood. By default, Caddy limits a request's headers to a sixty-fourth of that.
const logChunk = 1 << 20

// logEntry is what replay needs of a line of Caddy's access log in JSON.
type logEntry struct {
	Request struct {
		Method  string `json:"method"`
		Host    string `json:"host"`
		Headers struct {
			Origin        []string `json:"Origin"`
			RequestMethod []string `json:"Access-Control-Request-Method"`
			RequestHeader []string `json:"Access-Control-Request-Headers"`
			SecFetchMode  []string `json:"Sec-Fetch-Mode"`
			SecFetchSite  []string `json:"Sec-Fetch-Site"`
			Upgrade       []string `json:"Upgrade"`
		} `json:"headers"`
	} `json:"request"`

	// OSSCORS is the decision that was made. nil: by no oss_cors handler.
	OSSCORS *struct {
		Outcome string `json:"outcome"`
		Bucket  string `json:"bucket"`
	} `json:"oss_cors"`
}

// request returns the request as the rules see it, which are of a dialect.
func (e *logEntry) request(dialect corsrules.Dialect) corsrules.Request {
	h := &e.Request.Headers
	return dialect.ReadRequest(&http.Request{Method: e.Request.Method, Host: e.Request.Host, Header: http.Header{
		"Origin":                         h.Origin,
		"Access-Control-Request-Method":  h.RequestMethod,
		"Access-Control-Request-Headers": h.RequestHeader,
		"Sec-Fetch-Mode":                 h.SecFetchMode,
		"Sec-Fetch-Site":                 h.SecFetchSite,
		"Upgrade":                        h.Upgrade,
	}})
}

// couldBeCORS reports whether a line can be of a request that the rules apply to: to S3, every
// OPTIONS is a preflight. It spares decoding all others.
func couldBeCORS(line []byte, dialect corsrules.Dialect) bool {
	if dialect == corsrules.DialectS3 && bytes.Contains(line, []byte(`"OPTIONS"`)) {
		return true
	}
	return bytes.Contains(line, []byte(`"Origin":`)) || bytes.Contains(line, []byte(`"Access-Control-Request-Method":`))
}

// parseLogLine decodes a line; ok is false where it is not one of an access log.
func parseLogLine(line []byte) (entry logEntry, ok bool) {
	err := json.Unmarshal(line, &entry)
	return entry, err == nil && entry.Request.Method != ""
}

// hasLogEntry reports whether one of the lines is of an access log.
func hasLogEntry(lines []byte) bool {
	for line := range bytes.Lines(lines) {
		if !bytes.Contains(line, []byte(`"request":`)) {
			continue // which spares decoding it
		}
		if _, ok := parseLogLine(line); ok {
			return true
		}
	}
	return false
}

// errNotLog is for a file that could otherwise be taken for a log without CORS requests.
var errNotLog = errors.New("no line is of Caddy's access log in JSON; write it with the directive log")

// logReader reads access logs in chunks of whole lines, which handle gets from as many
// goroutines as there are processors.
type logReader struct {
	handle func(lines []byte)

	// tooLong counts lines longer than logChunk, which are left out.
	tooLong int

	// read counts bytes as they are in the files.
	read atomic.Int64
}

func (l *logReader) readAll(cmd *cobra.Command, files []string) error {
	workers := runtime.GOMAXPROCS(0)
	chunks, free := make(chan []byte), make(chan []byte, 2*workers)
	for range 2 * workers {
		free <- make([]byte, logChunk)
	}
	var wait sync.WaitGroup
	for range workers {
		wait.Go(func() {
			for lines := range chunks {
				l.handle(lines)
				free <- lines[:cap(lines)]
			}
		})
	}
	defer wait.Wait()
	defer close(chunks)
	for _, file := range files {
		if err := l.readFile(cmd, file, chunks, free); err != nil {
			return err
		}
	}
	return nil
}

func (l *logReader) readFile(cmd *cobra.Command, file string, chunks chan<- []byte, free <-chan []byte) error {
	in := cmd.InOrStdin()
	if file != stdin {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	buffered := bufio.NewReader(&countingReader{in, &l.read})
	in = buffered
	if magic, _ := buffered.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) { // RFC 1952, section 2.3.1
		unzipped, err := gzip.NewReader(buffered)
		if err != nil {
			return err
		}
		in = unzipped
	}
	err := l.split(in, chunks, free)
	if errors.Is(err, errNotLog) {
		err = fmt.Errorf("%s: %w", shownName(file), err)
	}
	return err
}

// split reads chunks and cuts them after their last line, whose rest begins the next chunk. It
// returns errNotLog if there are lines, and none is of an access log.
func (l *logReader) split(in io.Reader, chunks chan<- []byte, free <-chan []byte) error {
	var rest []byte
	skipping := false             // the beginning of the line was too long
	isLog, isEmpty := false, true // what is read so far
	for {
		chunk := (<-free)[:logChunk]
		n := copy(chunk, rest)
		m, err := io.ReadFull(in, chunk[n:])
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return err
		}
		chunk = chunk[:n+m]
		if skipping {
			end := bytes.IndexByte(chunk, '\n')
			skipping = end < 0
			if skipping {
				end = len(chunk) - 1
			}
			chunk = chunk[:copy(chunk, chunk[end+1:])]
		}
		end := len(chunk)
		if !last {
			end = bytes.LastIndexByte(chunk, '\n') + 1
		}
		if end == 0 && !last && !skipping {
			l.tooLong++
			skipping = true
		}
		rest = nil
		if !skipping {
			rest = append(rest, chunk[end:]...)
		}
		isLog = isLog || hasLogEntry(chunk[:end])
		isEmpty = isEmpty && len(bytes.TrimSpace(chunk[:end])) == 0
		chunks <- chunk[:end]
		switch {
		case last && !isLog && !isEmpty:
			return errNotLog
		case last:
			return nil
		}
	}
}

// countingReader counts the bytes read.
type countingReader struct {
	io.Reader
	count *atomic.Int64
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.count.Add(int64(n))
	return n, err
}
