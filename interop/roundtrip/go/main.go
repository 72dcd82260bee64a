// Roundtrip parses a protobuf message from standard input and writes it again to standard output,
// with nothing but a descriptor set to know it from.
//
//	roundtrip DESCRIPTOR_SET TYPE <in >out
//
// It ends with 0; with 1 where the input is no message of the type; with 2 where it cannot
// tell (no such type, no such file).
package main

import (
	"fmt"
	"io"
	"os"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

func main() {
	if len(os.Args) != 3 {
		fail(2, "usage: roundtrip DESCRIPTOR_SET TYPE <in >out")
	}
	kind, err := find(os.Args[1], os.Args[2])
	if err != nil {
		fail(2, err.Error())
	}
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		fail(2, err.Error())
	}
	message := dynamicpb.NewMessage(kind)
	if err := proto.Unmarshal(input, message); err != nil {
		fail(1, "the input is no "+os.Args[2])
	}
	output, err := proto.MarshalOptions{Deterministic: true}.Marshal(message)
	if err != nil {
		fail(2, err.Error())
	}
	if _, err := os.Stdout.Write(output); err != nil {
		fail(2, err.Error())
	}
}

func find(path, name string) (protoreflect.MessageDescriptor, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(data, &set); err != nil {
		return nil, err
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		return nil, err
	}
	found, err := files.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return nil, err
	}
	kind, ok := found.(protoreflect.MessageDescriptor)
	if !ok {
		return nil, fmt.Errorf("%s is no message type", name)
	}
	return kind, nil
}

func fail(code int, says string) {
	fmt.Fprintln(os.Stderr, says)
	os.Exit(code)
}
