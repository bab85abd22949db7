/*
 * protojson.h - proto3 JSON and protobuf-c messages, both ways, by their descriptors
 * (protobuf.dev, "ProtoJSON Format").
 *
 * Read: names in lowerCamelCase or as in the .proto, enums by name or number, 64-bit numbers as
 * text or number, bytes as base64 or base64url, Timestamp as RFC 3339, Duration as "1.5s"; null is
 * as if left out; an unknown name, a name given twice and two members of one oneof are errors.
 * Written: lowerCamelCase, enums by name, 64-bit numbers as text, no member that has its default
 * value. Maps do not occur in our messages and are not known here.
 *
 * Error texts name line or path, never a value: cases hold personal data (P9). Any thread.
 */
#ifndef TRIEN_CLIENT_PROTOJSON_H
#define TRIEN_CLIENT_PROTOJSON_H

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/status.h"

/*
 * *out is the caller's, freed with protobuf_c_message_free_unpacked(*out, NULL).
 * ST_INVALID: `results[0].fields[2].date.year: a whole number from 0 to 4294967295 is needed`.
 */
enum status protojson_read(ProtobufCMessage **out, const json_t *json,
			   const ProtobufCMessageDescriptor *type, struct error *e) must_use;
/* The same from text; ST_INVALID names line and column where it is no JSON. */
enum status protojson_parse(ProtobufCMessage **out, struct slice text,
			    const ProtobufCMessageDescriptor *type, struct error *e) must_use;

/* A new object, members in the order of the .proto. Ends the process when memory is spent. */
json_t *protojson_write(const ProtobufCMessage *m);

/* One document for people and machines to stdout; takes j. */
void json_print(json_t *j);
/* One line; takes j. */
void json_print_line(FILE *out, json_t *j);

#endif
