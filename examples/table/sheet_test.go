package main

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// temporary writes a file for a test.
func temporary(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "data.csv")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheUsualWaysToWriteATableGiveTheSameCells(t *testing.T) {
	want := [][]string{{"1.5", "red, and blue", "x"}, {"-2.5", `a "b"`, ""}}
	for name, text := range map[string]string{
		"plain":        "a,b,c\n1.5,\"red, and blue\",x\n-2.5,\"a \"\"b\"\"\",\n",
		"no last \\n":  "a,b,c\n1.5,\"red, and blue\",x\n-2.5,\"a \"\"b\"\"\",",
		"CRLF":         "a,b,c\r\n1.5,\"red, and blue\",x\r\n-2.5,\"a \"\"b\"\"\",\r\n",
		"CR":           "a,b,c\r1.5,\"red, and blue\",x\r-2.5,\"a \"\"b\"\"\",\r",
		"BOM":          "\ufeff\"a\",b,c\n1.5,\"red, and blue\",x\n-2.5,\"a \"\"b\"\"\",\n",
		"spaces":       "a, b ,c\n\n1.5 , \"red, and blue\",x\n  -2.5,\"a \"\"b\"\"\", \n",
		"semicolons":   "a;b;c\n1,5;red, and blue;x\n-2,5;\"a \"\"b\"\"\";\n",
		"their points": "a;b;c\n1.5;red, and blue;x\n-2.5;\"a \"\"b\"\"\";\n",
		"tabs":         "a\tb\tc\n1.5\tred, and blue\tx\n-2.5\t\"a \"\"b\"\"\"\t\n",
		"bars":         "a|b|c\n1.5|red, and blue|x\n-2.5|\"a \"\"b\"\"\"|\n",
	} {
		s, err := readSheet(temporary(t, text), options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var rows [][]string
		for _, r := range s.rows {
			rows = append(rows, r.cells)
		}
		if !slices.Equal(s.names, []string{"a", "b", "c"}) || !reflect.DeepEqual(rows, want) {
			t.Errorf("%s: %q, %q, want %q", name, s.names, rows, want)
		}
	}
	for name, text := range map[string]string{
		"commas":         "1.5,x\n2,y\n",
		"decimal commas": "1,5;x\n2;y\n",
	} {
		s, err := readSheet(temporary(t, text), options{noHeader: true})
		if err != nil || !slices.Equal(s.names, []string{"1", "2"}) || !reflect.DeepEqual(s.rows, []row{{1, []string{"1.5", "x"}}, {2, []string{"2", "y"}}}) {
			t.Errorf("no header, %s: %+v, %v", name, s, err)
		}
	}
	s, err := readSheet(temporary(t, "\"a;b;c;d\",e\n1,2\n"), options{})
	if err != nil || !slices.Equal(s.names, []string{"a;b;c;d", "e"}) {
		t.Errorf("quoted semicolons: %v, %v", s, err)
	}
}

func TestAFileThatIsNoTableIsAnErrorWithItsPlace(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "line 1: want a header, and rows below it"},
		{"blank", "\n\r\n\n", "line 1: want a header, and rows below it"},
		{"BOM alone", "\ufeff", "line 1: want a header, and rows below it"},
		{"no rows", "a,b\r\n", "line 1: want a header, and rows below it"},
		{"CR", "a,b\r1,2\r3\r", "line 3: column 2: the row has 1 cells, but the first line 2"},
		{"short row", "a,b,c\n1,2,3\n\n1,2\n", "line 4: column 3: the row has 2 cells, but the first line 3"},
		{"long row", "a,b\n1,2\n1,2,3,4\n", "line 3: column 3: the row has 4 cells, but the first line 2"},
		{"behind two lines", "a,b\n\"1\n1\",2\n1\n", "line 4: column 2: the row has 1 cells"},
		{"same names", "a,b, a\n1,2,3\n", `line 1: column 3: the name "a" is that of column 1 too`},
		{"bare quote", "a,b\n1,2\n3,4\"5\n", `line 3, column 4: bare "`},
		{"open quote", "a,b\n1,\"2\n3,4\n", `record on line 2; parse error on line 3, column 5: extraneous or missing "`},
		{"text behind quotes", "a,b\n1,\"2\"3\n", `line 2, column 5: extraneous or missing "`},
		{"Latin-1", "a,b\n1,caf\xe9\n", `line 2: column 2: "caf\xe9" is not UTF-8`},
		{"UTF-16", "\xff\xfea\x00,\x00b\x00", `line 1: column 1: "\xff\xfea\x00" is not UTF-8; save the file as UTF-8`},
	} {
		path := temporary(t, c.text)
		if _, err := readSheet(path, options{}); err == nil || !strings.HasPrefix(err.Error(), path+": ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want the path and %q", c.name, err, c.want)
		}
	}
	if _, err := readSheet(t.TempDir(), options{}); err == nil {
		t.Error("a folder: no error")
	}
}
