package modelfile

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"example.com/backprop/internal/strictjson"
)

// Parse returns what a text describes, which must be valid UTF-8 but is not trusted otherwise.
// Every key must be known, as it is written, and come once. It ends at the first layer that is
// wrong or one more than maxLayers, nested ones counted, so that memory stays within a small
// multiple of the text.
func (t *Types[L, F]) Parse(text string, maxLayers int) (Description[L], error) {
	r := reader[L, F]{Parser: strictjson.New(text, 0), types: t, max: maxLayers, names: map[int]string{}}
	var d Description[L]
	r.Object(func(key string) {
		switch key {
		case "inputs":
			r.value(reflect.ValueOf(&d.Inputs).Elem(), 0)
		case "fitted":
			r.value(reflect.ValueOf(&d.Fitted).Elem(), 0)
		case layersKey:
			r.value(reflect.ValueOf(&d.Layers).Elem(), 0)
		default:
			r.unknown(key)
		}
	})
	r.End()
	if err := r.Err(); err != nil {
		return Description[L]{}, err
	}
	return d, nil
}

// A reader sets values to what comes next in a text.
type reader[L, F any] struct {
	*strictjson.Parser
	types       *Types[L, F]
	layers, max int            // read, and allowed
	names       map[int]string // of types that were seen by looking ahead, by where their objects begin
}

func (r *reader[L, F]) unknown(key string) { r.Stop(fmt.Errorf("json: unknown field %.50q", key)) }

func (r *reader[L, F]) value(v reflect.Value, depth int) {
	switch t := v.Type(); {
	case depth > maxDepth:
		r.Stop(errDeep)
	case r.types.isLayer(t):
		r.layer(v, depth)
	case r.types.isActivation(t):
		if name := r.Text(); r.Err() == nil {
			f, err := r.types.find(name)
			r.Stop(err)
			v.Set(reflect.ValueOf(&f).Elem())
		}
	case isText(t):
		if text := r.Text(); r.Err() == nil {
			r.Stop(v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)))
		}
	case t.Kind() == reflect.Struct:
		v.SetZero() // a layer's defaults are of its own fields
		r.Object(func(key string) { r.field(v, key, depth) })
	case t.Kind() == reflect.Slice:
		r.slice(v, depth)
	case t.Kind() == reflect.Array:
		i := 0
		r.Array(func() {
			if i++; i <= t.Len() {
				r.value(v.Index(i-1), depth+1)
			} else {
				r.Fail("expected %d elements, got more", t.Len())
			}
		})
		if i < t.Len() {
			r.Fail("expected %d elements, got %d", t.Len(), i)
		}
	case t.Kind() == reflect.String:
		v.SetString(r.Text())
	default:
		r.plain(v)
	}
}

// plain reads a boolean or a number.
func (r *reader[L, F]) plain(v reflect.Value) {
	token := r.Token()
	isNumber := json.Valid([]byte(token)) && (token[0] == '-' || token[0] >= '0' && token[0] <= '9')
	bits, want, err := v.Type().Bits, "a number", error(nil)
	switch k := v.Kind(); {
	case k == reflect.Bool:
		want, isNumber = "true or false", token == "true" || token == "false"
		v.SetBool(token == "true")
	case !isNumber:
	case v.CanInt():
		var n int64
		n, err = strconv.ParseInt(token, 10, bits())
		v.SetInt(n)
	case v.CanUint():
		var n uint64
		n, err = strconv.ParseUint(token, 10, bits())
		v.SetUint(n)
	default:
		var x float64
		x, err = strconv.ParseFloat(token, bits())
		v.SetFloat(x)
	}
	if !isNumber {
		r.Fail("expected %s, got %s", want, strictjson.Show(token))
	} else if err != nil {
		r.Fail("%s is not a value of type %v", strictjson.Show(token), v.Type())
	}
}

func (r *reader[L, F]) slice(v reflect.Value, depth int) {
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	in, isList := r.In, r.types.isList(v.Type())
	r.Array(func() {
		if isList && r.layers == r.max {
			r.Stop(fmt.Errorf("more than %d layers", r.max))
			return
		}
		if isList {
			r.layers++
			r.In = fmt.Sprintf("%slayer %d: ", in, v.Len())
		}
		n := v.Len()
		v.Grow(1)
		v.SetLen(n + 1)
		r.value(v.Index(n), depth+1)
		r.In = in
	})
}

// layer reads a layer to v, an L.
func (r *reader[L, F]) layer(v reflect.Value, depth int) {
	var name string
	r.Ahead(func() { name = r.typeName() })
	defaults, ok := r.types.defaults(name)
	if !ok {
		r.Stop(fmt.Errorf("layer type %.50q is not known", name))
	}
	if r.Err() != nil {
		return
	}
	layer := reflect.New(defaults.Type()).Elem()
	layer.Set(defaults)
	r.Object(func(key string) {
		switch {
		case key == typeKey:
			r.Text()
		case layer.Kind() == reflect.Struct:
			r.field(layer, key, depth)
		case key == layersKey:
			r.slice(layer, depth)
		default:
			r.unknown(key)
		}
	})
	v.Set(layer)
}

// typeName returns the type in the object that comes next, wherever it stands there. What else is
// wrong with the object shows when it is read. The types of objects in it are noted on the way, so
// that no part of the text is looked through for each layer around it.
func (r *reader[L, F]) typeName() string {
	before := r.Token()
	if before != "{" {
		r.Fail("expected {, got %s", strictjson.Show(before))
	}
	if name, ok := r.names[r.Offset()]; ok {
		return name
	}
	open := []int{r.Offset()} // where each object or array begins that has not ended; −1 for an array
	for len(open) > 0 && before != "" && r.Err() == nil {
		token := r.Token()
		switch last := len(open) - 1; token {
		case "{":
			open = append(open, r.Offset())
		case "[":
			open = append(open, -1)
		case "}", "]":
			open = open[:last]
		case ":":
			if before == `"`+typeKey+`"` && last == 0 {
				return r.Text()
			} else if before == `"`+typeKey+`"` && open[last] >= 0 {
				r.note(open[last])
			}
		}
		if len(open) > 2*maxDepth {
			r.Stop(errDeep)
		}
		before = token
	}
	return ""
}

// note takes the name of the type of the object that begins at the given place, which need not be
// a layer.
func (r *reader[L, F]) note(object int) {
	var next string
	r.Ahead(func() { next = r.Token() })
	if _, twice := r.names[object]; !twice && len(r.names) < r.max && strings.HasPrefix(next, `"`) {
		r.names[object] = r.Text()
	}
}

// field reads the field of v, a struct, that has the key.
func (r *reader[L, F]) field(v reflect.Value, key string, depth int) {
	for k, i := range fields(v.Type()) {
		if k == key {
			r.value(v.Field(i), depth+1)
			return
		}
	}
	r.unknown(key)
}
