// Package strictjson takes JSON from strangers apart, token by token: just what may stand at each
// place. encoding/json would let duplicate keys, keys in another case, null and lone surrogates
// pass, and would spend dozens of bytes on each byte of a long list.
package strictjson

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// A Parser reads a text. Its first error is kept and ends all loops; until then the methods take
// what comes next, after it what they return means nothing. No nesting is taken that the caller
// does not ask for, so a bound on it is the caller's.
type Parser struct {
	In   string        // the part of the text being read, such as "layer 3: ", for errors
	Name func() string // of that part, which is quoted behind In; nil if there is none

	text     string
	offset   int // where the text begins in its file
	start, i int // the last token is text[start:i]
	key      int // where the key begins whose value is being taken
	err      error
}

// New returns a parser of text, which begins at the given byte of its file. The text must be valid
// UTF-8.
func New(text string, offset int) *Parser { return &Parser{text: text, offset: offset} }

// Err returns the first error.
func (p *Parser) Err() error { return p.err }

// Fail keeps an error of the last token, with that token's place in the file.
func (p *Parser) Fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("byte %d: %s%s", p.offset+p.start, p.in(), fmt.Sprintf(format, args...))
	}
}

// Stop keeps an error of what the text says, rather than of how it is written.
func (p *Parser) Stop(err error) {
	if p.err == nil && err != nil {
		p.err = fmt.Errorf("%s%w", p.in(), err)
	}
}

func (p *Parser) in() string {
	if p.Name == nil {
		return p.In
	}
	return p.In + Quote(p.Name()) + ": "
}

// Offset is where the last token begins in the text.
func (p *Parser) Offset() int { return p.start }

// Ahead lets f read on, and then goes back.
func (p *Parser) Ahead(f func()) {
	start, i := p.start, p.i
	f()
	p.start, p.i = start, i
}

// peek skips space and returns what follows.
func (p *Parser) peek() string {
	for ; p.i < len(p.text); p.i++ {
		if c := p.text[p.i]; c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			break
		}
	}
	return p.text[p.i:]
}

// Token takes the next token as it is written: punctuation, a string with its quotes or a run of
// anything else; at the end of the text it is empty.
func (p *Parser) Token() string {
	rest := p.peek()
	if rest == "" {
		p.start = p.i
		return ""
	}
	n := 1
	switch rest[0] {
	case '{', '}', '[', ']', ':', ',':
	case '"':
		for n < len(rest) && rest[n] != '"' {
			if rest[n] == '\\' {
				n++
			}
			n++
		}
		n = min(n+1, len(rest))
	default:
		for n < len(rest) && strings.IndexByte(" \t\r\n{}[]:,\"", rest[n]) < 0 {
			n++
		}
	}
	p.start, p.i = p.i, p.i+n
	return rest[:n]
}

// accept takes the punctuation t if it comes next.
func (p *Parser) accept(t string) bool {
	if p.err != nil || !strings.HasPrefix(p.peek(), t) {
		return false
	}
	p.Token()
	return true
}

func (p *Parser) expect(t string) {
	if got := p.Token(); got != t {
		p.Fail("expected %s, got %s", Show(t), Show(got))
	}
}

// End takes the end of the text.
func (p *Parser) End() { p.expect("") }

// items takes what stands between two brackets, separated by commas.
func (p *Parser) items(open, end string, item func()) {
	p.expect(open)
	for first := true; p.err == nil && !p.accept(end); first = false {
		if !first {
			p.expect(",")
		}
		item()
	}
}

// Array calls item before each item, to take it.
func (p *Parser) Array(item func()) { p.items("[", "]", item) }

// Object calls value after each key, to take what belongs to it. A key that comes twice is an
// error.
func (p *Parser) Object(value func(key string)) {
	seen := make(map[string]bool)
	p.Members(func(key string) {
		if seen[key] {
			p.Duplicate(key)
			return
		}
		seen[key] = true
		value(key)
	})
}

// Members calls value after each key, as Object does, but remembers none: whether one comes twice
// is the caller's to see.
func (p *Parser) Members(value func(key string)) {
	outer := p.key
	p.items("{", "}", func() {
		key := p.Text()
		at := p.start
		p.expect(":")
		p.key = at
		value(key)
	})
	p.key = outer
}

// Duplicate keeps the error that the key whose value is being taken has come before.
func (p *Parser) Duplicate(key string) {
	p.start = p.key
	p.Fail("duplicate key %s", Quote(key))
}

// Size takes an integer from 0 in plain digits: no sign, fraction, exponent or leading zero.
func (p *Parser) Size() int {
	t := p.Token()
	n, err := strconv.ParseUint(t, 10, strconv.IntSize-1)
	if errors.Is(err, strconv.ErrRange) {
		p.Fail("%s is too large", Show(t))
	} else if err != nil || t[0] == '0' && t != "0" {
		p.Fail("expected a non-negative integer, got %s", Show(t))
	}
	return int(n)
}

// Text takes a string. Without escapes it shares the text's memory.
func (p *Parser) Text() string {
	t := p.Token()
	var b strings.Builder
	if strings.IndexByte(t, '\\') >= 0 {
		b.Grow(len(t)) // an escape is longer than what it stands for
		p.unquote(t, func(plain string, r rune) {
			b.WriteString(plain)
			if r >= 0 {
				b.WriteRune(r)
			}
		})
	} else if p.unquote(t, ignore); p.err == nil {
		return t[1 : len(t)-1]
	}
	return b.String()
}

// SkipText passes over a string.
func (p *Parser) SkipText() { p.unquote(p.Token(), ignore) }

func ignore(string, rune) {}

// unquote calls add with each part of the string that the token t is, plain text and the character
// of the escape behind it, −1 behind the last; or it fails.
func (p *Parser) unquote(t string, add func(plain string, r rune)) {
	if t == "" || t[0] != '"' {
		p.Fail("expected a string, got %s", Show(t))
		return
	}
	text, ok := strings.CutSuffix(t[1:], `"`)
	for ok {
		plain, _, escaped := strings.Cut(text, `\`)
		for i := range len(plain) {
			ok = ok && plain[i] >= ' '
		}
		if !escaped {
			add(plain, -1)
			break
		}
		r, n := escape(text[len(plain):])
		add(plain, r)
		text, ok = text[len(plain)+n:], ok && n > 0
	}
	if !ok {
		p.Fail("invalid string %s", Show(t))
	}
}

// escape returns the character that the escape at the beginning of text stands for, and the
// escape's length, which is 0 if there is none: half of a surrogate pair is none.
func escape(text string) (r rune, n int) {
	if len(text) < 2 {
		return 0, 0
	}
	if i := strings.IndexByte(`"\/bfnrt`, text[1]); i >= 0 {
		return rune("\"\\/\b\f\n\r\t"[i]), 2
	}
	r = unit(text)
	if r < 0 {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if r = utf16.DecodeRune(r, unit(text[6:])); r == utf8.RuneError {
		return 0, 0
	}
	return r, 12
}

// unit returns the number that text, which begins with \u and four digits, stands for, or −1.
func unit(text string) rune {
	if len(text) < 6 || text[:2] != `\u` {
		return -1
	}
	n, err := strconv.ParseUint(text[2:6], 16, 16)
	if err != nil {
		return -1
	}
	return rune(n)
}

// Show formats a token for an error.
func Show(t string) string {
	if t == "" {
		return "the end"
	}
	t = Abbreviate(t)
	if strings.ContainsFunc(t, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return strconv.Quote(t)
	}
	return t
}

// Abbreviate keeps what a file says at a length fit for an error.
func Abbreviate(s string) string {
	const limit = 64
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}

// Quote quotes what a file says, abbreviated.
func Quote(s string) string { return strconv.Quote(Abbreviate(s)) }
