package corsrules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The Codes of OSS's error answers to a rules document.
const (
	CodeMalformedXML    = "MalformedXML"
	CodeBeyondLimit     = "CORSRuleBeyondLimit"
	CodeInvalidArgument = "InvalidArgument"
)

// The ECs of the same answers. OSS says that they may change and that no one should
// build on them: they help a person search.
const (
	ecMalformed    = "0031-00000001"
	ecNoRule       = "0034-00000002"
	ecWrongRoot    = "0034-00000003"
	ecResponseVary = "0034-00000004"
	ecTooManyRules = "0034-00000006"
	ecOrigin       = "0034-00000009"
	ecMethod       = "0034-00000011"
	ecHeader       = "0034-00000012"
	ecExposeHeader = "0034-00000013"
	ecMaxAge       = "0034-00000014"
)

// argumentECs are the ECs of faulty values, by element.
var argumentECs = map[string]string{
	"AllowedOrigin": ecOrigin,
	"AllowedMethod": ecMethod,
	"AllowedHeader": ecHeader,
	"ExposeHeader":  ecExposeHeader,
	"MaxAgeSeconds": ecMaxAge,
}

// Fault is one thing that is wrong with a rules document.
type Fault struct {
	// File is the document's name, as Options gave it. Line and Column count from
	// 1, columns in bytes; they are where the offending value or element begins.
	// 0: not known, as in rules that are not a document.
	File         string
	Line, Column int

	// Message says what was found and what to do.
	Message string

	// Code and EC are what OSS's PutBucketCors answers to this fault. EC may be
	// empty; both are for an origin that OSS takes and Options.Credentials does not,
	// and in rules that are not a document.
	Code, EC string

	// ArgumentName and ArgumentValue are set where Code is InvalidArgument: the
	// element and the text found in it.
	ArgumentName, ArgumentValue string

	offset int // where in the document, to sort by
}

// Error returns "file:line:column: message (Code, EC …)".
func (f *Fault) Error() string {
	code := f.Code
	if f.EC != "" {
		code += ", EC " + f.EC
	}
	if code != "" {
		code = " (" + code + ")"
	}
	return placeOf(f.File, f.Line, f.Column) + ": " + f.Message + code
}

// placeOf returns "file:line:column", without what is not known.
func placeOf(file string, line, column int) string {
	for _, n := range []int{line, column} {
		if n > 0 {
			file += ":" + strconv.Itoa(n)
		}
	}
	return file
}

// Faults is the error that Parse returns: every fault, in the order of the document.
type Faults []*Fault

const (
	// maxToldFaults is how many faults Error tells: as many as a person fixes at once. A
	// document can have thousands.
	maxToldFaults = 100

	// maxBriefFaults is how many faults Brief tells: as many as a person reads in a log.
	maxBriefFaults = 10
)

// Error returns one line for each fault, of at most 100, and the number of the others.
func (fs Faults) Error() string {
	if len(fs) > maxToldFaults {
		return fs.first(maxToldFaults).Error()
	}
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// Brief returns the first faults and the number of those that it leaves out, as an error
// for a log line. The error wraps Faults, and does not keep the others in memory.
func (fs Faults) Brief() error {
	if len(fs) <= maxBriefFaults {
		return fs
	}
	return fs.first(maxBriefFaults)
}

func (fs Faults) first(n int) error {
	return fmt.Errorf("%w\nand %d more", slices.Clone(fs[:n]), len(fs)-n)
}
