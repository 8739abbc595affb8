package strictjson

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// take reads an object of strings, sizes and arrays of such.
func take(p *Parser) any {
	var next string
	p.Ahead(func() { next = p.Token() })
	switch next {
	case "{":
		object := map[string]any{}
		p.Object(func(key string) { object[key] = take(p) })
		return object
	case "[":
		array := []any{}
		p.Array(func() { array = append(array, take(p)) })
		return array
	}
	if strings.HasPrefix(next, `"`) {
		return p.Text()
	}
	return float64(p.Size())
}

func TestAParserTakesAnObjectApart(t *testing.T) {
	p := New(" {\"a\" : [1, 20,\t[]],\r\n\"\\u0062\":{}, \"c\":\"é\\n\\ud83d\\ude00\ufffd\"} ", 0)
	got := take(p)
	p.End()
	want := map[string]any{"a": []any{1.0, 20.0, []any{}}, "b": map[string]any{}, "c": "é\n😀\ufffd"}
	if !reflect.DeepEqual(got, want) || p.Err() != nil {
		t.Error(got, p.Err())
	}
}

func TestAParserSaysWhatIsWrongAndWhere(t *testing.T) {
	for text, want := range map[string]string{
		"":                      "byte 8: expected a non-negative integer, got the end",
		"{} ,":                  "byte 11: expected the end, got ,",
		"[1,]":                  "byte 11: expected a non-negative integer, got ]",
		"[1 2]":                 "byte 11: expected ,, got 2",
		"[01]":                  "byte 9: expected a non-negative integer, got 01",
		"[99999999999999999999": "byte 9: 99999999999999999999 is too large",
		`{"a":1,"\u0061":2}`:    `byte 15: duplicate key "a"`,
		`{"a":1,"A":2,}`:        "byte 21: expected a string, got }",
		`{a:1}`:                 "byte 9: expected a string, got a",
		"{\"a\x01\":1}":         `byte 9: invalid string "\"a\x01\""`,
		`["\ud83d"]`:            `byte 9: invalid string "\ud83d"`,
		`["a`:                   `byte 9: invalid string "a`,
		`["\`:                   `byte 9: invalid string "\`,
		"[" + strings.Repeat("é", 99) + "]": "byte 9: expected a non-negative integer, got " +
			strings.Repeat("é", 32) + "…",
	} {
		p := New(text, 8)
		take(p)
		p.End()
		if err := p.Err(); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestTheFirstErrorIsKept(t *testing.T) {
	first := errors.New("first")
	p := New("[1,2]", 0)
	p.In = "list: "
	calls := 0
	p.Stop(nil)
	p.Array(func() { p.Size(); calls++; p.Stop(first); p.Fail("second"); p.Stop(errors.New("third")) })
	if err := p.Err(); calls != 1 || !errors.Is(err, first) || err.Error() != "list: first" {
		t.Error(calls, err)
	}
}

// Whatever is taken is JSON, and means to encoding/json what it means here.
func FuzzParser(f *testing.F) {
	for _, text := range []string{`{"a":[1,"b",{}]}`, `{"a":1,"a":2}`, `["\ud83d\ude00"]`, " [ 0 ] ", `"\`, "[01]"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) || strings.Count(text, "[")+strings.Count(text, "{") > 1000 {
			return
		}
		p := New(text, 0)
		got := take(p)
		p.End()
		if p.Err() != nil {
			return
		}
		var want any
		if err := json.Unmarshal([]byte(text), &want); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: %v, want %v, %v", text, got, want, err)
		}
	})
}
