// Package console tests the console in real browsers: what an operator does with it, what
// hostile texts do to it, and whether everybody can use it.
package console
