package testutil

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"example.com/backprop"
	"gonum.org/v1/gonum/mat"
)

// MustComeBack saves and loads the network both ways.
func MustComeBack(t *testing.T, net *backprop.Network, x mat.Matrix) *backprop.Network {
	t.Helper()
	path := filepath.Join(t.TempDir(), "net")
	NoError(t, net.Save(path))
	saved, err := os.ReadFile(path)
	NoError(t, err)
	if !bytes.Equal(saved, BytesOf(t, net)) {
		t.Error("Save and WriteTo write different bytes")
	}
	loaded, err := backprop.Load(path)
	NoError(t, err)
	StateOf(net).MustEqual(t, loaded)
	SameBits(t, "predictions", Predict(t, loaded, x), Predict(t, net, x))
	if loaded.String() != net.String() {
		t.Errorf("saved\n%v, loaded\n%v", net, loaded)
	}
	if !bytes.Equal(BytesOf(t, loaded), saved) {
		t.Errorf("saving again gives other bytes")
	}
	return loaded
}

// MustHold checks that a file is as it was, and that no temporary file stands beside it.
func MustHold(t testing.TB, path string, want []byte) {
	t.Helper()
	if got := Value(os.ReadFile(path))(t); !bytes.Equal(got, want) {
		t.Errorf("the file has changed: %d bytes, were %d", len(got), len(want))
	}
	if left := Value(filepath.Glob(path + ".saving-*"))(t); len(left) > 0 {
		t.Errorf("temporary files are left: %v", left)
	}
}

// OldFile is a file with a network in it.
func OldFile(t *testing.T) (path string, content []byte) {
	path = filepath.Join(t.TempDir(), "net")
	net := NewNetwork(t, 7, backprop.Dense{Units: 1})
	NoError(t, net.Save(path))
	return path, BytesOf(t, net)
}

// A RawTensor is a tensor as it stands in a file.
type RawTensor struct {
	Name, Dtype string
	Shape       []int
	Data        []float64
}

// Cut takes the last row off.
func (r *RawTensor) Cut() {
	r.Shape, r.Data = []int{len(r.Data) - 1}, r.Data[:len(r.Data)-1]
}

// RawFile is a file of a header and F64 elements.
func RawFile(header string, data ...float64) string {
	file := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	file = append(file, header...)
	for _, v := range data {
		file = binary.LittleEndian.AppendUint64(file, math.Float64bits(v))
	}
	return string(file)
}

// NetworkFile is a file with a network's description, and tensors.
func NetworkFile(description string, tensors ...RawTensor) string {
	return EncodeRaw(map[string]string{"backprop.version": "1", "backprop.network": description}, tensors...)
}

type rawHeader struct {
	Type    string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"`
}

// EncodeRaw is a file of metadata and tensors.
func EncodeRaw(metadata map[string]string, tensors ...RawTensor) string {
	header, data := map[string]any{"__metadata__": metadata}, []byte{}
	for _, s := range tensors {
		begin := len(data)
		for _, v := range s.Data {
			switch s.Dtype {
			case "F64":
				data = binary.LittleEndian.AppendUint64(data, math.Float64bits(v))
			case "F32":
				data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(v)))
			case "I64":
				data = binary.LittleEndian.AppendUint64(data, uint64(v))
			case "U8":
				data = append(data, byte(v))
			}
		}
		header[s.Name] = rawHeader{s.Dtype, append([]int{}, s.Shape...), [2]int{begin, len(data)}}
	}
	text, _ := json.Marshal(header)
	return RawFile(string(text)) + string(data)
}

// DecodeRaw takes a file of F64 tensors apart.
func DecodeRaw(t *testing.T, file []byte) (metadata map[string]string, tensors map[string]*RawTensor) {
	n := 8 + binary.LittleEndian.Uint64(file)
	var header map[string]json.RawMessage
	NoError(t, json.Unmarshal(file[8:n], &header))
	NoError(t, json.Unmarshal(header["__metadata__"], &metadata))
	delete(header, "__metadata__")
	tensors = map[string]*RawTensor{}
	for name, text := range header {
		var h rawHeader
		NoError(t, json.Unmarshal(text, &h))
		s := &RawTensor{Name: name, Dtype: h.Type, Shape: h.Shape}
		for b := file[n:][h.Offsets[0]:h.Offsets[1]]; len(b) > 0; b = b[8:] {
			s.Data = append(s.Data, math.Float64frombits(binary.LittleEndian.Uint64(b)))
		}
		tensors[name] = s
	}
	return metadata, tensors
}

// Edit replaces text in a checkpoint's JSON.
func Edit(metadata map[string]string, old, to string) {
	metadata["backprop.checkpoint"] = strings.Replace(metadata["backprop.checkpoint"], old, to, 1)
}

// Hollow is the path of a file that has one more tensor, of so many elements of one byte, which
// take no space on the disk. It skips where there is no such file.
func Hollow(t *testing.T, file, name string, elements int64) (path string) {
	t.Helper()
	begin := 8 + int64(binary.LittleEndian.Uint64([]byte(file)))
	offset := int64(len(file)) - begin
	header := strings.TrimRight(file[8:begin], " }") + fmt.Sprintf(`},%q:{"dtype":"U8","shape":[%d],"data_offsets":[%d,%d]}}`,
		name, elements, offset, offset+elements)
	path = filepath.Join(t.TempDir(), "hollow")
	whole := RawFile(header) + file[begin:]
	NoError(t, os.WriteFile(path, []byte(whole), 0o666))
	if err := os.Truncate(path, int64(len(whole))+elements); err != nil {
		t.Skip("no file of that size: ", err)
	}
	return path
}

// BytesAllocated is how many bytes f allocates. Garbage counts too, so f never holds more at once.
func BytesAllocated(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}
