package main

import "encoding/binary"

// message encodes a message of protocol buffers: the number of a field in onnx.proto, the field's
// value, the number of the next, and so on. A value is an int, a string, or bytes, as of a message.
func message(fields ...any) (m []byte) {
	const varint, length = 0, 2 // the wire types
	for i := 0; i < len(fields); i += 2 {
		tag := uint64(fields[i].(int)) << 3
		switch v := fields[i+1].(type) {
		case int:
			m = binary.AppendUvarint(m, tag|varint)
			m = binary.AppendUvarint(m, uint64(v))
		case string:
			m = append(m, message(fields[i], []byte(v))...)
		case []byte:
			m = binary.AppendUvarint(m, tag|length)
			m = binary.AppendUvarint(m, uint64(len(v)))
			m = append(m, v...)
		}
	}
	return m
}
