package safetensors

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"example.com/backprop/internal/strictjson"
)

// An entry is what the header says of a tensor: its elements stand at begin to end.
type entry struct {
	Tensor
	begin, end int
}

// parseHeader returns the header's metadata and its entries in the order of the header.
func parseHeader(header string) (metadata map[string]string, entries []entry, err error) {
	if !utf8.ValidString(header) {
		return nil, nil, errors.New("safetensors: the header is not valid UTF-8")
	}
	if header[0] != '{' { // not even space
		return nil, nil, fmt.Errorf("safetensors: the header begins with %q, not with '{'", header[:1])
	}
	p := strictjson.New(header, lengthSize)
	p.Object(func(name string) {
		if name == metadataKey {
			metadata = parseMetadata(p)
		} else {
			entries = append(entries, parseEntry(p, name))
		}
		p.In = ""
	})
	p.End()
	if err := p.Err(); err != nil {
		return nil, nil, fmt.Errorf("safetensors: %w", err)
	}
	return metadata, entries, nil
}

func parseMetadata(p *strictjson.Parser) map[string]string {
	p.In = metadataKey + ": "
	m := make(map[string]string)
	p.Object(func(key string) { m[key] = p.Text() })
	return m
}

func parseEntry(p *strictjson.Parser, name string) entry {
	p.In = "tensor " + strictjson.Quote(name) + ": "
	e := entry{Tensor: Tensor{Name: name}}
	missing := []string{"dtype", "shape", "data_offsets"}
	p.Object(func(key string) {
		switch key {
		case "dtype":
			e.Type = p.Text()
		case "shape":
			e.Shape = parseSizes(p)
		case "data_offsets":
			if o := parseSizes(p); len(o) == 2 {
				e.begin, e.end = o[0], o[1]
			} else {
				p.Fail("expected 2 data_offsets, got %d", len(o))
			}
		default:
			p.Fail("unknown key %s", strictjson.Quote(key))
		}
		missing = slices.DeleteFunc(missing, func(k string) bool { return k == key })
	})
	if len(missing) > 0 {
		p.Fail("missing key %q", missing[0])
	}
	return e
}

func parseSizes(p *strictjson.Parser) []int {
	sizes := []int{}
	p.Array(func() { sizes = append(sizes, p.Size()) })
	return sizes
}
