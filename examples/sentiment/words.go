package main

import (
	"cmp"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
)

var token = regexp.MustCompile(`[\p{L}\p{N}]+(?:['’][\p{L}\p{N}]+)*|[.,;:!?()]`)

// split splits a text into its words, in lower case, and punctuation marks.
func split(text string) []string { return token.FindAllString(strings.ToLower(text), -1) }

var negations = strings.Fields("no not nor never nothing neither cannot without hardly barely")

func isNegation(word string) bool {
	return strings.HasSuffix(word, "n't") || strings.HasSuffix(word, "n’t") || slices.Contains(negations, word)
}

// features returns the words of a sentence, the pairs of neighbouring ones and the marks, each
// once. Up to reach words behind a negation, as far as there is no mark between, are words of their
// own, such as "not_good" (Pang, Lee and Vaithyanathan 2002).
func features(tokens []string, reach int) []string {
	var found []string
	before, negated := "", 0
	for _, word := range tokens {
		if strings.Contains(".,;:!?()", word) {
			found = append(found, word)
			before, negated = "", 0
			continue
		}
		negation := isNegation(word)
		if negated > 0 {
			word = "not_" + word
			negated--
		}
		if negation {
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

// counts are numbers of sentences of blame and of praise.
type counts [2]float64

func (c counts) plus(d counts) counts { return counts{c[0] + d[0], c[1] + d[1]} }

// A vocabulary holds features, and in how many sentences each stands.
type vocabulary struct {
	reach int // of a negation, in words
	names []string
	index map[string]int // of a name
	of    []counts       // of a feature, and 1
	sum   counts         // of all of them
}

// maxFeatures bounds the width of the network. The 3,000 sentences have some 9,000.
const maxFeatures = 1 << 16

// newVocabulary holds the words of the sentences and the pairs that stand in two of them or more,
// of too many the commonest. Two thirds of all features would be pairs that stand in one.
func newVocabulary(sentences []sentence, reach int) *vocabulary {
	count := make(map[string]counts)
	for _, s := range sentences {
		for _, name := range features(s.tokens, reach) {
			c := count[name]
			c[s.praise]++
			count[name] = c
		}
	}
	maps.DeleteFunc(count, func(name string, c counts) bool {
		return c[0]+c[1] < 2 && strings.Contains(name, " ")
	})
	names := slices.Sorted(maps.Keys(count))
	if len(names) > maxFeatures {
		slices.SortStableFunc(names, func(a, b string) int {
			return cmp.Compare(count[b][0]+count[b][1], count[a][0]+count[a][1])
		})
		names = names[:maxFeatures]
	}
	v := &vocabulary{reach: reach, names: names, index: make(map[string]int)}
	for f, name := range v.names {
		v.index[name] = f
		v.of = append(v.of, count[name].plus(counts{1, 1}))
		v.sum = v.sum.plus(v.of[f])
	}
	return v
}

// logRatio is r = log((p/‖p‖₁)/(q/‖q‖₁)) of one feature, p and q being the counts of praise and
// of blame, from 1 upwards (Wang and Manning 2012).
func logRatio(of, sum counts) float64 { return math.Log(of[1] / sum[1] * sum[0] / of[0]) }

// A sample is a sentence as a vocabulary sees it: the features that it knows, and the label.
type sample struct {
	features []int
	praise   int
}

func (v *vocabulary) samples(sentences ...sentence) []sample {
	samples := make([]sample, len(sentences))
	for i, s := range sentences {
		samples[i].praise = s.praise
		for _, name := range features(s.tokens, v.reach) {
			if f, known := v.index[name]; known {
				samples[i].features = append(samples[i].features, f)
			}
		}
	}
	return samples
}

// naiveBayes is the share of the samples that naive Bayes judges right. Where own is 1, they are
// those that were counted, and each is judged by the counts of all others; else it is 0.
func (v *vocabulary) naiveBayes(samples []sample, own float64) float64 {
	right := 0.0
	for _, s := range samples {
		sum, z := v.sum, 0.0
		sum[s.praise] -= own * float64(len(s.features))
		for _, f := range s.features {
			of := v.of[f]
			of[s.praise] -= own
			z += logRatio(of, sum)
		}
		if (z > 0) == (s.praise == 1) {
			right++
		}
	}
	return right / float64(len(samples))
}

// bestReach returns the reach of a negation by which naive Bayes judges most of the sentences
// right, each by the counts of all others.
func bestReach(sentences []sentence) int {
	best, most := 0, -1.0
	for _, reach := range []int{1, 2, 3, 4, 5, math.MaxInt} {
		v := newVocabulary(sentences, reach)
		if right := v.naiveBayes(v.samples(sentences...), 1); right > most {
			best, most = reach, right
		}
	}
	return best
}
