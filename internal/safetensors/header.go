package safetensors

import (
	"errors"
	"fmt"
	"slices"

	"example.com/backprop/internal/strictjson"
)

// An entry is what the header says of a tensor: its elements stand at begin to end.
type entry struct {
	Tensor
	begin, end int
}

// A header is the JSON of a file. It is gone through as often as something in it is wanted, so that
// no more is kept of it than that.
type header string

// metadata goes through all of the header, checks how it is written and each entry on its own, and
// returns those of the metadata that have the given keys.
func (h header) metadata(keys []string) (map[string]string, error) {
	var metadata map[string]string
	err := h.parse(func(p *strictjson.Parser) {
		if metadata != nil {
			p.In = ""
			p.Duplicate(metadataKey)
		}
		metadata = parseMetadata(p, keys)
	}, func(p *strictjson.Parser, e entry) { p.Stop(e.check()) })
	return metadata, err
}

// entries returns the entries in the order of the header, which metadata has been through. A tensor
// whose name is not wanted is an error.
func (h header) entries(wanted func(name string) bool) (entries []entry, err error) {
	seen := map[string]bool{}
	err = h.parse(func(p *strictjson.Parser) { parseMetadata(p, nil) }, func(p *strictjson.Parser, e entry) {
		if seen[e.Name] {
			p.In, p.Name = "", nil
			p.Duplicate(e.Name)
		} else if !wanted(e.Name) {
			p.Stop(errors.New("is not wanted"))
		}
		seen[e.Name] = true
		entries = append(entries, e)
	})
	return entries, err
}

// parse calls metadata to take what belongs to the reserved name, and tensor after each entry.
func (h header) parse(metadata func(*strictjson.Parser), tensor func(*strictjson.Parser, entry)) error {
	p := strictjson.New(string(h), lengthSize)
	var e entry
	name := func() string { return e.Name }
	p.Members(func(key string) {
		if key == metadataKey {
			p.In = metadataKey + ": "
			metadata(p)
		} else {
			p.In, p.Name = "tensor ", name
			e = entry{Tensor: Tensor{Name: key}}
			if parseEntry(p, &e); p.Err() == nil {
				tensor(p, e)
			}
		}
		p.In, p.Name = "", nil
	})
	p.End()
	if err := p.Err(); err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	return nil
}

// parseMetadata returns what has the given keys. Other keys may come twice: nobody reads them, and
// there may be millions.
func parseMetadata(p *strictjson.Parser, keys []string) map[string]string {
	kept := make(map[string]string)
	p.Members(func(key string) {
		if !slices.Contains(keys, key) {
			p.SkipText()
			return
		}
		if _, ok := kept[key]; ok {
			p.Duplicate(key)
		}
		kept[key] = p.Text()
	})
	return kept
}

var entryKeys = []string{"dtype", "shape", "data_offsets"}

// parseEntry fills all of an entry but its name.
func parseEntry(p *strictjson.Parser, e *entry) {
	var seen [3]bool
	p.Members(func(key string) {
		i := slices.Index(entryKeys, key)
		if i < 0 {
			p.Fail("unknown key %s", strictjson.Quote(key))
			return
		}
		if seen[i] {
			p.Duplicate(key)
		}
		seen[i] = true
		if i == 0 {
			e.Type = p.Text()
			return
		}
		sizes := parseSizes(p)
		if i == 1 {
			e.Shape = sizes
		} else if len(sizes) == 2 {
			e.begin, e.end = sizes[0], sizes[1]
		} else {
			p.Fail("expected 2 %s, got %d", key, len(sizes))
		}
	})
	if i := slices.Index(seen[:], false); i >= 0 {
		p.Fail("missing key %q", entryKeys[i])
	}
}

// parseSizes returns the numbers in an array, but no more than tell that there are too many.
func parseSizes(p *strictjson.Parser) []int {
	sizes := []int{}
	p.Array(func() {
		if n := p.Size(); len(sizes) <= maxDimensions {
			sizes = append(sizes, n)
		}
	})
	return sizes
}
