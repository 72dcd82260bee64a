// Parses a protobuf message from standard input and writes it again to standard output, with
// nothing but a descriptor set to know it from.
//
//   roundtrip DESCRIPTOR_SET TYPE <in >out
//
// Ends with 0; with 1 where the input is no message of the type; with 2 where it cannot tell
// (no such type, no such file).

#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

namespace pb = google::protobuf;

namespace {

int fail(int code, const std::string& says) {
  std::cerr << says << std::endl;
  return code;
}

std::string all(std::istream& from) {
  return {std::istreambuf_iterator<char>(from), std::istreambuf_iterator<char>()};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return fail(2, "usage: roundtrip DESCRIPTOR_SET TYPE <in >out");

  std::ifstream file(argv[1], std::ios::binary);
  pb::FileDescriptorSet set;
  if (!file || !set.ParseFromString(all(file))) return fail(2, "cannot read the descriptor set");
  pb::DescriptorPool pool;
  for (const auto& each : set.file()) {
    if (pool.BuildFile(each) == nullptr) return fail(2, "the descriptor set does not link");
  }
  const pb::Descriptor* kind = pool.FindMessageTypeByName(argv[2]);
  if (kind == nullptr) return fail(2, std::string("there is no type ") + argv[2]);

  pb::DynamicMessageFactory factory(&pool);
  std::unique_ptr<pb::Message> message(factory.GetPrototype(kind)->New());
  if (!message->ParseFromString(all(std::cin))) {
    return fail(1, std::string("the input is no ") + argv[2]);
  }

  std::string output;
  {
    pb::io::StringOutputStream stream(&output);
    pb::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);  // maps in the order of their keys
    if (!message->SerializeToCodedStream(&coded)) return fail(2, "the message cannot be written");
  }
  std::cout.write(output.data(), static_cast<std::streamsize>(output.size()));
  return std::cout.flush() ? 0 : fail(2, "the output cannot be written");
}
