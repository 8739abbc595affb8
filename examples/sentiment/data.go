package main

import (
	_ "embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

//go:embed sentiment.tsv
var embedded []byte

// A sentence is a line of the data.
type sentence struct {
	text     string
	features []string
	praise   int // 1, or 0 for blame
}

// load reads the sentences in a file, or the embedded ones if path is "".
func load(path string) (all []sentence, err error) {
	file := embedded
	if path != "" {
		if file, err = os.ReadFile(path); err != nil {
			return nil, err
		}
	}
	var n [2]int // of blame and praise
	for line := range strings.Lines(string(file)) {
		s, err := parse(strings.TrimRight(line, "\r\n"))
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", path, len(all)+1, err)
		}
		n[s.praise]++
		all = append(all, s)
	}
	if min(n[0], n[1]) < folds {
		return nil, fmt.Errorf("%s: %d sentences of blame and %d of praise, want %d or more of each", path, n[0], n[1], folds)
	}
	return all, nil
}

// parse reads a line of three fields with tabs between: where the sentence comes from, 1 for praise
// or 0 for blame, and the sentence.
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
	return sentence{fields[2], features(fields[2]), int(fields[1][0] - '0')}, nil
}

var (
	token    = regexp.MustCompile(`[\p{L}\p{N}]+(?:['’][\p{L}\p{N}]+)*|[.,;:!?()]`)
	negation = regexp.MustCompile(`n['’]t$|^(not?|nor|never|nothing|neither|cannot|without|hardly|barely)$`)
)

// reach is how many words behind a negation are marked, as far as there is no punctuation between.
const reach = 3

// features returns the words of a text, the pairs of neighbouring ones and the punctuation marks,
// each once. Words behind a negation are words of their own, such as "not_good" (Pang, Lee and
// Vaithyanathan 2002).
func features(text string) []string {
	var found []string
	before, negated := "", 0
	for _, word := range token.FindAllString(strings.ToLower(text), -1) {
		if strings.Contains(".,;:!?()", word) {
			found = append(found, word)
			before, negated = "", 0
			continue
		}
		negates := negation.MatchString(word)
		if negated > 0 {
			word = "not_" + word
			negated--
		}
		if negates {
			negated = reach
		}
		found = append(found, word)
		if before != "" {
			found = append(found, before+" "+word)
		}
		before = word
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// shuffled returns the sentences in an order of chance.
func shuffled(all []sentence, seed, stream uint64) []sentence {
	order := slices.Clone(all)
	rand.New(rand.NewPCG(seed, stream)).Shuffle(len(order), func(i, k int) {
		order[i], order[k] = order[k], order[i]
	})
	return order
}

// deal deals the sentences at random into folds with the same shares of praise and blame.
func deal(all []sentence, seed uint64) [][]sentence {
	order, parts := shuffled(all, seed, 0), make([][]sentence, folds)
	slices.SortStableFunc(order, func(a, b sentence) int { return a.praise - b.praise })
	for i, s := range order {
		parts[i%folds] = append(parts[i%folds], s)
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
