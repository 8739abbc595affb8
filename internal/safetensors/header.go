package safetensors

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// An entry is what the header says of a tensor: its elements, not yet read, stand at begin to end.
type entry struct {
	Tensor
	begin, end int
}

// A parser takes the header's JSON token by token, just what may stand at each place: encoding/json would let
// duplicate keys, null and lone surrogates pass, and spend dozens of bytes on each byte of a long shape. No
// nesting needs a bound, since none is taken. The first error is kept and ends all loops.
type parser struct {
	header   string
	start, i int    // the last token is header[start:i]
	in       string // the part of the header being read, for errors
	err      error
}

// parseHeader returns the header's metadata and its entries in the order of the header.
func parseHeader(header string) (metadata map[string]string, entries []entry, err error) {
	if !utf8.ValidString(header) {
		return nil, nil, errors.New("safetensors: the header is not valid UTF-8")
	}
	if header[0] != '{' { // not even space
		return nil, nil, fmt.Errorf("safetensors: the header begins with %q, not with '{'", header[:1])
	}
	p := &parser{header: header}
	p.object(func(name string) {
		if name == metadataKey {
			metadata = p.metadata()
		} else {
			entries = append(entries, p.entry(name))
		}
		p.in = ""
	})
	p.expect("")
	return metadata, entries, p.err
}

func (p *parser) metadata() map[string]string {
	p.in = metadataKey + ": "
	m := make(map[string]string)
	p.object(func(key string) { m[key] = p.string() })
	return m
}

func (p *parser) entry(name string) entry {
	p.in = "tensor " + quote(name) + ": "
	e := entry{Tensor: Tensor{Name: name}}
	missing := []string{"dtype", "shape", "data_offsets"}
	p.object(func(key string) {
		switch key {
		case "dtype":
			e.Type = p.string()
		case "shape":
			e.Shape = p.integers()
		case "data_offsets":
			if o := p.integers(); len(o) == 2 {
				e.begin, e.end = o[0], o[1]
			} else {
				p.fail("expected 2 data_offsets, got %d", len(o))
			}
		default:
			p.fail("unknown key %s", quote(key))
		}
		missing = slices.DeleteFunc(missing, func(k string) bool { return k == key })
	})
	if len(missing) > 0 {
		p.fail("missing key %q", missing[0])
	}
	return e
}

// fail records an error at the last token, by that token's place in the file.
func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("safetensors: byte %d: %s%s", 8+p.start, p.in, fmt.Sprintf(format, args...))
	}
}

const space, punctuation = " \t\r\n", "{}[],:"

// peek skips space and returns what follows.
func (p *parser) peek() string {
	for p.i < len(p.header) && strings.IndexByte(space, p.header[p.i]) >= 0 {
		p.i++
	}
	return p.header[p.i:]
}

// token takes the next token as it is written: punctuation, a string with its quotes or a run of anything
// else; at the end of the header it is empty.
func (p *parser) token() string {
	rest := p.peek()
	n := min(1, len(rest))
	switch {
	case rest == "" || strings.IndexByte(punctuation, rest[0]) >= 0:
	case rest[0] == '"':
		for n < len(rest) && rest[n] != '"' {
			if rest[n] == '\\' {
				n++
			}
			n++
		}
		n = min(n+1, len(rest))
	default:
		for n < len(rest) && strings.IndexByte(space+punctuation+`"`, rest[n]) < 0 {
			n++
		}
	}
	p.start, p.i = p.i, p.i+n
	return rest[:n]
}

// accept takes the punctuation t if it comes next.
func (p *parser) accept(t string) bool {
	if p.err != nil || !strings.HasPrefix(p.peek(), t) {
		return false
	}
	p.token()
	return true
}

func (p *parser) expect(t string) {
	if got := p.token(); got != t {
		p.fail("expected %s, got %s", show(t), show(got))
	}
}

// list takes items between two brackets, separated by commas.
func (p *parser) list(open, end string, item func()) {
	p.expect(open)
	for first := true; p.err == nil && !p.accept(end); first = false {
		if !first {
			p.expect(",")
		}
		item()
	}
}

// object calls value after each key, to take what belongs to it.
func (p *parser) object(value func(key string)) {
	seen := make(map[string]bool)
	p.list("{", "}", func() {
		key := p.string()
		if seen[key] {
			p.fail("duplicate key %s", quote(key))
		}
		seen[key] = true
		p.expect(":")
		value(key)
	})
}

func (p *parser) integers() []int {
	integers := []int{}
	p.list("[", "]", func() { integers = append(integers, p.integer()) })
	return integers
}

// integer takes plain digits: no sign, fraction, exponent or leading zero.
func (p *parser) integer() int {
	t := p.token()
	n, err := strconv.ParseUint(t, 10, strconv.IntSize-1)
	if errors.Is(err, strconv.ErrRange) {
		p.fail("%s is too large", show(t))
	} else if err != nil || t[0] == '0' && t != "0" {
		p.fail("expected a non-negative integer, got %s", show(t))
	}
	return int(n)
}

// string takes a string. Without escapes it shares the header's memory.
func (p *parser) string() string {
	t := p.token()
	if t == "" || t[0] != '"' {
		p.fail("expected a string, got %s", show(t))
		return ""
	}
	if !strings.ContainsFunc(t, func(r rune) bool { return r == '\\' || r < ' ' }) && len(t) > 1 && t[len(t)-1] == '"' {
		return t[1 : len(t)-1]
	}
	var s string
	err := json.Unmarshal([]byte(t), &s)
	const surrogate = "\ufffd" // stands for every escape that is half of a pair
	if err != nil || strings.Count(s, surrogate) != strings.Count(t, surrogate) {
		p.fail("invalid string %s", show(t))
	}
	return s
}

// show formats a token for an error.
func show(t string) string {
	if t == "" {
		return "the end of the header"
	}
	t = abbreviate(t)
	if strings.ContainsFunc(t, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return strconv.Quote(t)
	}
	return t
}
