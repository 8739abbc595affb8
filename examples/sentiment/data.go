package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

//go:embed sentiment.tsv.gz
var embedded []byte

// A sentence is a line of the data.
type sentence struct {
	text   string
	tokens []string
	praise int // 1, or 0 for blame
}

// load reads the sentences in a file, or the embedded ones if path is "".
func load(path string) ([]sentence, error) {
	if path == "" {
		r, err := gzip.NewReader(bytes.NewReader(embedded))
		if err != nil {
			return nil, err
		}
		return read("sentiment.tsv.gz", r)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return read(path, f)
}

// read reads lines of three fields with tabs between: where the sentence comes from, 1 for praise
// or 0 for blame, and the sentence. Its errors begin with the name.
func read(name string, r io.Reader) ([]sentence, error) {
	var all []sentence
	var n [2]int
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		s, err := parse(lines.Text())
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", name, len(all)+1, err)
		}
		n[s.praise]++
		all = append(all, s)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: line %d: %w", name, len(all)+1, err)
	}
	if min(n[0], n[1]) < folds {
		return nil, fmt.Errorf("%s: %d sentences of blame and %d of praise, want %d or more of each", name, n[0], n[1], folds)
	}
	return all, nil
}

func parse(line string) (sentence, error) {
	fields := strings.Split(line, "\t")
	switch {
	case !utf8.ValidString(line):
		return sentence{}, errors.New("not UTF-8")
	case len(fields) != 3:
		return sentence{}, fmt.Errorf("%d fields, want 3 with tabs between: origin, 0 or 1, sentence", len(fields))
	case fields[1] != "0" && fields[1] != "1":
		return sentence{}, fmt.Errorf("label %.20q, want 1 for praise or 0 for blame", fields[1])
	}
	s := sentence{text: fields[2], tokens: split(fields[2]), praise: int(fields[1][0] - '0')}
	if len(features(s.tokens, 0)) == 0 {
		return sentence{}, fmt.Errorf("no word in the sentence %.20q", s.text)
	}
	return s, nil
}

// deal deals the sentences at random into n parts with the same shares of praise and blame.
func deal(all []sentence, n int, seed uint64) [][]sentence {
	parts, next := make([][]sentence, n), 0
	order := rand.New(rand.NewPCG(seed, 0)).Perm(len(all))
	for praise := range 2 {
		for _, i := range order {
			if all[i].praise == praise {
				parts[next%n] = append(parts[next%n], all[i])
				next++
			}
		}
	}
	return parts
}

// others returns the sentences of all parts but one, without those that stand in that one, too.
func others(parts [][]sentence, but int) []sentence {
	held := make(map[string]bool)
	for _, s := range parts[but] {
		held[s.text] = true
	}
	return slices.DeleteFunc(slices.Concat(parts...), func(s sentence) bool { return held[s.text] })
}
