package modelfile

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// A Description says of what layers a network consists.
type Description[L any] struct {
	Inputs int
	Fitted bool // its layers have learnt what they learn before training
	Layers []L
}

// maxDepth bounds how deep values are nested, in writing and in reading alike.
const maxDepth = 64

var errMany = errors.New("more layers, with those within others, than can be read again")

var errDeep = fmt.Errorf("nested deeper than %d", maxDepth)

// Describe returns the JSON of a network: keys in the order of the fields, those of defaults left
// out. More layers than maxLayers, those within others included, are an error, as for Parse.
func (t *Types[L, F]) Describe(d Description[L], maxLayers int) (string, error) {
	w := writer[L, F]{types: t, left: maxLayers}
	w.text = fmt.Appendf(w.text, `{"inputs":%d,`, d.Inputs)
	if d.Fitted {
		w.text = append(w.text, `"fitted":true,`...)
	}
	w.text = append(w.text, `"`+layersKey+`":`...)
	if err := w.list(reflect.ValueOf(d.Layers), 0); err != nil {
		return "", err
	}
	return string(append(w.text, '}')), nil
}

// A writer appends the JSON of values to a text.
type writer[L, F any] struct {
	types *Types[L, F]
	text  []byte
	left  int // layers that there may still be
}

// value appends a value that nothing stands for, a field's or an element.
func (w *writer[L, F]) value(v reflect.Value, depth int) error {
	switch r := v.Type(); {
	case depth > maxDepth:
		return errDeep
	case w.types.isLayer(r):
		return w.layer(v, depth)
	case w.types.isActivation(r):
		name, err := w.activation(v)
		if err == nil && name == "" {
			err = fmt.Errorf("%v has no name in files", v)
		}
		return errors.Join(err, w.json(name))
	case isText(r):
		text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
		return errors.Join(err, w.json(string(text)))
	case r.Kind() == reflect.Struct:
		w.text = append(w.text, '{')
		if err := w.fields(v, reflect.Zero(r), depth); err != nil {
			return err
		}
		w.text = append(w.text, '}')
		return nil
	case r.Kind() == reflect.Slice || r.Kind() == reflect.Array:
		return w.list(v, depth)
	}
	return w.json(v.Interface())
}

// json appends what encoding/json writes, which fails for numbers that are not finite.
func (w *writer[L, F]) json(v any) error {
	text, err := json.Marshal(v)
	w.text = append(w.text, text...)
	return err
}

// comma appends one between two members or elements.
func (w *writer[L, F]) comma() {
	if last := w.text[len(w.text)-1]; last != '{' && last != '[' {
		w.text = append(w.text, ',')
	}
}

func (w *writer[L, F]) list(v reflect.Value, depth int) error {
	w.text = append(w.text, '[')
	for i := range v.Len() {
		w.comma()
		err := w.value(v.Index(i), depth+1)
		if err != nil && w.types.isLayer(v.Type().Elem()) {
			err = inLayer(i, err)
		}
		if err != nil {
			return err
		}
	}
	w.text = append(w.text, ']')
	return nil
}

func inLayer(i int, err error) error { return fmt.Errorf("layer %d: %w", i, err) }

// layer appends the layer in v, an L.
func (w *writer[L, F]) layer(v reflect.Value, depth int) error {
	v = v.Elem()
	if !v.IsValid() {
		return errors.New("the layer is nil")
	}
	if w.left--; w.left < 0 {
		return errMany
	}
	w.types.mu.RLock()
	name, ok := w.types.names[v.Type()]
	w.types.mu.RUnlock()
	if !ok {
		return fmt.Errorf("layer type %v is not known; register it with RegisterLayer", v.Type())
	}
	defaults, _ := w.types.defaults(name)
	w.text = append(w.text, `{"`+typeKey+`":`...)
	err := w.json(name)
	switch {
	case v.Kind() == reflect.Struct:
		err = errors.Join(err, w.fields(v, defaults, depth))
	case !reflect.DeepEqual(v.Interface(), defaults.Interface()):
		w.text = append(w.text, `,"`+layersKey+`":`...)
		err = errors.Join(err, w.list(v, depth))
	}
	w.text = append(w.text, '}')
	return err
}

// fields appends the fields of a struct that are not those of defaults.
func (w *writer[L, F]) fields(v, defaults reflect.Value, depth int) error {
	for key, i := range fields(v.Type()) {
		field, old := v.Field(i), defaults.Field(i)
		if w.types.isActivation(field.Type()) {
			if name, err := w.activation(field); err != nil {
				return err
			} else if name == "" && old.IsNil() {
				continue
			}
		}
		if reflect.DeepEqual(field.Interface(), old.Interface()) {
			continue
		}
		w.comma()
		w.text = fmt.Appendf(w.text, "%q:", key)
		if err := w.value(field, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// activation returns the name of the activation in v, an F; "" if it is nil.
func (w *writer[L, F]) activation(v reflect.Value) (string, error) {
	if v.IsNil() {
		return "", nil
	}
	return w.types.name(v.Interface().(F))
}
