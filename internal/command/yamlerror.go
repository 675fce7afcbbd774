package command

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

// yamlError returns all faults of a file of tests, each with its place, in place of what package
// yaml says with the names of Go's types.
func yamlError(file string, err error) error {
	problems := strings.Split(strings.TrimPrefix(err.Error(), "yaml: "), "\n")
	if types := (*yaml.TypeError)(nil); errors.As(err, &types) {
		problems = types.Errors
	}
	for i, problem := range problems {
		place, text := file, problem
		if m := lineOfYAML.FindStringSubmatch(problem); m != nil {
			place, text = file+":"+m[1], m[2]
		}
		problems[i] = place + ": " + inOurTerms(text)
	}
	return errors.New(strings.Join(problems, "\n"))
}

var (
	lineOfYAML   = regexp.MustCompile(`^line (\d+): (.*)`)
	unknownField = regexp.MustCompile(`^field (.*) not found in type command\.(\w+)$`)
	otherType    = regexp.MustCompile("^cannot unmarshal !!(\\w+)(?: (`.*`))? into (.*)$")
)

func inOurTerms(problem string) string {
	if m := unknownField.FindStringSubmatch(problem); m != nil {
		where, fields := "a test", fieldsOf[expectation]()
		if m[2] == "testFile" {
			where, fields = "a file of tests", fieldsOf[testFile]()
		}
		if meant := corsrules.Closest(m[1], fields); meant != "" {
			return fmt.Sprintf("unknown field %s of %s: did you mean %s?", m[1], where, meant)
		}
		return fmt.Sprintf("unknown field %s of %s: it may have %s", m[1], where, strings.Join(fields, ", "))
	}
	if m := otherType.FindStringSubmatch(problem); m != nil {
		found := m[2]
		switch m[1] {
		case "seq":
			found = "a list"
		case "map":
			found = "a block of fields"
		}
		return fmt.Sprintf("%s is written where %s is needed", found, neededTypes[m[3]])
	}
	return problem
}

// neededTypes are the types of fields in the words of YAML.
var neededTypes = map[string]string{
	"string": "a text", "int": "a whole number", "bool": "true or false", "[]string": "a list such as [content-type]",
	"map[string]string": "a block of fields", "command.expectation": "a test", "[]command.expectation": "a list of tests, each with - before it",
	"command.testFile": "a block with the fields rules and tests",
}

// fieldsOf returns the names of a type's fields in YAML.
func fieldsOf[T any]() (names []string) {
	for field := range reflect.TypeFor[T]().Fields() {
		if name := field.Tag.Get("yaml"); name != "" {
			names = append(names, name)
		}
	}
	return names
}
