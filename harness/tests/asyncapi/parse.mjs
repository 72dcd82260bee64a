// What the official parser says of a document on standard input, as JSON.
import { readFileSync } from 'node:fs';
import { Parser } from '@asyncapi/parser';
import { ProtoBuffSchemaParser } from '@asyncapi/protobuf-schema-parser';

const parser = new Parser();
parser.registerSchemaParser(ProtoBuffSchemaParser());
const { document, diagnostics } = await parser.parse(readFileSync(0, 'utf8'));
const said = { problems: diagnostics.filter((each) => each.severity < 2).map((each) => each.message) };
if (document) {
  said.version = document.version();
  said.channels = document.channels().all().map((each) => each.address());
  said.operations = document.operations().all().length;
  const bars = document.messages().all().find((each) => each.name() === 'ampy.bars.v1.BarBatch');
  said.bar = Object.keys(bars.payload().json().schema.properties.bars.items.properties);
}
console.log(JSON.stringify(said));
