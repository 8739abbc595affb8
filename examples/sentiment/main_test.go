package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"
)

func TestTheEmbeddedSentencesAreThePublishedOnes(t *testing.T) {
	sentences, err := load("")
	if err != nil {
		t.Fatal(err)
	}
	for i, origin := range []string{"amazon", "imdb", "yelp"} {
		if n := count(sentences[1000*i : 1000*(i+1)]); n != [2]int{500, 500} {
			t.Errorf("%v sentences of blame and praise from %s, want 500 of each", n, origin)
		}
	}
}

func TestFeaturesAreWordsPairsAndMarkedNegations(t *testing.T) {
	for text, want := range map[string][]string{
		"Good case, GOOD value!": {"!", ",", "case", "good", "good case", "good value", "value"},
		"not very good phone": {"not", "not not_very", "not_good", "not_good not_phone", "not_phone", "not_very",
			"not_very not_good"},
		"no a b c d":      {"d", "no", "no not_a", "not_a", "not_a not_b", "not_b", "not_b not_c", "not_c", "not_c d"},
		"don't go. Stay":  {".", "don't", "don't not_go", "not_go", "stay"},
		"isn’t 'it'":      {"isn’t", "isn’t not_it", "not_it"},
		"never not fun":   {"never", "never not_not", "not_fun", "not_not", "not_not not_fun"},
		"note the cannot": {"cannot", "note", "note the", "the", "the cannot"},
	} {
		if got := features(text); !slices.Equal(got, want) {
			t.Errorf("features of %q are %q, want %q", text, got, want)
		}
	}
}

// corpus makes sentences of the texts, "+" before those of praise.
func corpus(texts ...string) []sentence {
	var sentences []sentence
	for _, text := range texts {
		words, isPraise := strings.CutPrefix(text, "+")
		s := sentence{text: words, features: features(words)}
		if isPraise {
			s.praise = 1
		}
		sentences = append(sentences, s)
	}
	return sentences
}

// By hand: with 1 added, "a" and "." are 3 in praise and 1 in blame, "b" 2 and 1, "c" 2 and 3,
// which makes 10 and 6. No pair stands in two sentences.
func TestRatiosAreThoseOfThePaper(t *testing.T) {
	j := newJudge(corpus("+a. b", "+a. c", "c", "c"))
	want := map[string]float64{
		".": math.Log(3. / 10 / (1. / 6)),
		"a": math.Log(3. / 10 / (1. / 6)),
		"b": math.Log(2. / 10 / (1. / 6)),
		"c": math.Log(2. / 10 / (3. / 6)),
	}
	if len(j.names) != len(want) {
		t.Errorf("features %q, want those of %v", j.names, want)
	}
	for f, name := range j.names {
		if got := j.ratios[f]; math.Abs(got-want[name]) > 1e-15 {
			t.Errorf("the log-count ratio of %q is %v, want %v", name, got, want[name])
		}
	}
}

// A row has the ratios of the sentence's features, whatever the matrix held before.
func TestASentenceIsTheRatiosOfItsFeatures(t *testing.T) {
	j := newJudge(corpus("+a. b", "+a. c", "c", "c"))
	var x mat.Dense
	j.data(&x, corpus("+b. a", "b. a"))
	data := j.data(&x, corpus("c b unknown", "+a"))
	wantX := mat.NewDense(2, 4, []float64{0, 0, j.ratios[2], j.ratios[3], 0, j.ratios[1], 0, 0})
	if !mat.Equal(data.X, wantX) || !mat.Equal(data.Y, mat.NewDense(2, 1, []float64{0, 1})) {
		t.Errorf("x is\n%v and y %v, want\n%v and 0, 1", mat.Formatted(data.X), mat.Formatted(data.Y), mat.Formatted(wantX))
	}
}

func TestFoldsHoldEachSentenceOnceAndKeepItFromTraining(t *testing.T) {
	sentences, err := load("")
	if err != nil {
		t.Fatal(err)
	}
	parts := deal(sentences, 7)
	dealt := make(map[string]int)
	for f, part := range parts {
		if n := count(part); n != [2]int{150, 150} {
			t.Errorf("fold %d has %v sentences of blame and praise, want 150 of each", f, n)
		}
		held := make(map[string]bool)
		for _, s := range part {
			dealt[s.text]++
			held[s.text] = true
		}
		training := others(parts, f)
		if len(training) < 2680 || len(training) > 2700 {
			t.Errorf("fold %d is trained on %d sentences, want 2700 but for those that come twice", f, len(training))
		}
		for _, s := range training {
			if held[s.text] {
				t.Errorf("fold %d is trained on %q, which tests it", f, s.text)
			}
		}
	}
	for _, s := range sentences {
		dealt[s.text]--
	}
	for text, n := range dealt {
		if n != 0 {
			t.Errorf("%q was dealt %+d times too often", text, n)
		}
	}
}

func TestSeedsAndEpochsHaveOrdersOfTheirOwn(t *testing.T) {
	texts := func(seed, stream uint64) (all string) {
		for _, s := range shuffled(corpus("a", "b", "c", "d", "e", "f", "g", "h"), seed, stream) {
			all += s.text
		}
		return all
	}
	if orders := []string{"abcdefgh", texts(0, 0), texts(1, 0), texts(0, 1)}; len(slices.Compact(slices.Sorted(slices.Values(orders)))) < 4 {
		t.Errorf("orders %q, want four", orders)
	}
}

func count(sentences []sentence) (n [2]int) {
	for _, s := range sentences {
		n[s.praise]++
	}
	return n
}

func TestAFileThatCannotBeReadIsAnErrorThatNamesTheLine(t *testing.T) {
	good := strings.Repeat("x\t0\tbad\nx\t1\tgood\n", folds)
	for name, c := range map[string]struct{ file, want string }{
		"a field too few":      {good + "x\t1 good\n", "line 21: 2 fields, want 3"},
		"a field too many":     {good + "x\t1\tgood\t\n", "line 21: 4 fields, want 3"},
		"no label":             {"x\t\tgood\n" + good, `line 1: label "", want 1 for praise`},
		"another label":        {"x\t-1\tgood\n" + good, `line 1: label "-1", want 1 for praise`},
		"a label without end":  {"x\t" + strings.Repeat("1", 1000) + "\tgood\n", `line 1: label "11111111111111111111", want`},
		"an empty line":        {good + "\n" + good, "line 21: 1 fields"},
		"other bytes":          {good + "x\t1\tgood \xff\n", "line 21: not UTF-8"},
		"nothing":              {"", "0 sentences of blame and 0 of praise, want 10 or more"},
		"praise only":          {strings.Repeat("x\t1\tgood\n", 99), "0 sentences of blame and 99 of praise"},
		"the same all through": {strings.Repeat("x\t1\tgood\nx\t0\tgood\n", 99), "nothing to learn from"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file.tsv")
			if err := os.WriteFile(path, []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			err := run(&out, path, 1, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q in it", err, c.want)
			}
		})
	}
}

// phones are the 1000 sentences about phones.
func phones(t *testing.T) []sentence {
	t.Helper()
	sentences, err := load("")
	if err != nil {
		t.Fatal(err)
	}
	return sentences[:1000]
}

// judgeFold returns the share of one fold that is classified correctly by what has learnt from the
// others.
func judgeFold(t *testing.T, sentences []sentence) float64 {
	t.Helper()
	parts := deal(sentences, 0)
	j, err := learn(others(parts, 0), 0)
	if err != nil {
		t.Fatal(err)
	}
	return j.accuracy(parts[0])
}

func TestHeldOutSentencesAreJudged(t *testing.T) {
	if got := judgeFold(t, phones(t)); got < 0.8 {
		t.Errorf("%.3f of the sentences held out are classified correctly, want 0.8", got)
	}
}

// Labels drawn by chance cannot be learnt, so whoever judges held-out sentences better than a coin
// has seen them. Of 100 a coin judges more than 66 in one of a thousand cases.
func TestLabelsByChanceAreNotJudged(t *testing.T) {
	sentences, rng := phones(t), rand.New(rand.NewPCG(0, 0))
	for i := range sentences {
		sentences[i].praise = rng.IntN(2)
	}
	if got := judgeFold(t, sentences); got > 0.66 {
		t.Errorf("%.3f of labels drawn by chance are classified correctly, want 0.5", got)
	}
}

func TestInfluenceIsTheDerivativeByTheWord(t *testing.T) {
	j, err := learn(phones(t), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range corpus("works great", "not worth it", "it works") {
		_, influence := j.judge(s.features)
		var x mat.Dense
		j.data(&x, []sentence{s})
		for f, v := range x.RawRowView(0) {
			logit := func(h float64) float64 {
				x.Set(0, f, v*(1+h))
				defer x.Set(0, f, v)
				p, err := j.net.Predict(&x)
				if err != nil {
					t.Fatal(err)
				}
				return math.Log(p.At(0, 0) / (1 - p.At(0, 0)))
			}
			want := 0.0
			if h := 1e-4; v != 0 {
				want = (logit(h) - logit(-h)) / (2 * h)
			}
			if math.Abs(influence[f]-want) > 1e-6 {
				t.Errorf("%s: influence %v in %q, want %v", j.names[f], influence[f], s.text, want)
			}
		}
	}
}

// small writes a small file of sentences and returns its path.
func small(t *testing.T) string {
	t.Helper()
	var file strings.Builder
	for i := range 30 {
		fmt.Fprintf(&file, "x\t0\ta bad film%d\nx\t1\ta good film%d\r\n", i, i)
	}
	path := filepath.Join(t.TempDir(), "file.tsv")
	if err := os.WriteFile(path, []byte(file.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSentencesTypedInAreJudged(t *testing.T) {
	path := small(t)
	for _, c := range []struct {
		texts []string
		want  []string
	}{
		{[]string{"Good!", "so bad"}, []string{"Good!\n\tfor praise: good\n", "so bad\n\tfor praise: \n\tfor blame: bad\n"}},
		{nil, []string{"mean of 1: 100.00 %", "for praise: good, a good", "for blame: bad, a bad"}},
	} {
		var out bytes.Buffer
		if err := run(&out, path, 1, c.texts); err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("for %q it printed\n%swant %q in it", c.texts, &out, want)
			}
		}
	}
}

func TestAMissingFileIsAnError(t *testing.T) {
	if err := run(io.Discard, filepath.Join(t.TempDir(), "none"), 1, nil); err == nil {
		t.Error("a file that does not exist is no error")
	}
}
