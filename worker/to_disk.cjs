// Loaded into Playwright's driver (NODE_OPTIONS=--require): answers that `worker/fetching.py` asks for are written to
// disk as they come. Without it the driver holds a whole body in memory and hands it over as base64: 100 MB took 800 MB.
//
// A request says where to in a header of its own, which is taken off here and never sent: JSON with `path`, `limit`
// (bytes) and `patience` (seconds without a byte), perhaps `fields`, header fields that only `origin` gets. Cookies, proxies, certificates and redirects stay the driver's.
"use strict";

const fs = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const zlib = require("node:zlib");
const { Readable, Transform, pipeline } = require("node:stream");

const HEADER = "x-nightfleet-to-disk";
const DECODERS = { gzip: zlib.createGunzip, "x-gzip": zlib.createGunzip, deflate: zlib.createInflate, br: zlib.createBrotliDecompress };
const GARBLED = /^(HPE_|Z_|ERR__)/; // codes of Node's HTTP parser, of zlib and of Brotli

function counted(limit) {
  let size = 0;
  return new Transform({
    transform(chunk, _encoding, done) {
      size += chunk.length;
      done(size > limit ? new Error(`nightfleet: it has more than the ${limit} bytes that are allowed`) : null, chunk);
    },
  });
}

/** What the driver gets in place of an answer whose body is on its way to the disk: its head, and an end without data. */
function bodiless(answer) {
  const { httpVersion, statusCode, statusMessage, url, rawHeaders } = answer;
  const headers = { ...answer.headers };
  delete headers["content-encoding"]; // or the driver would decode the nothing that it gets; its report uses rawHeaders
  return Object.assign(new Readable({ read() {} }), { httpVersion, statusCode, statusMessage, url, rawHeaders, headers });
}

/** Says of an error in the middle of a body that it is the document's: before its head it would be the connection's. */
function ofTheBody(error) {
  if (error.code === "ECONNRESET") return new Error("aborted");
  if (GARBLED.test(error.code) && !error.message.startsWith("nightfleet")) {
    error.message = `nightfleet: it came garbled (${error.message})`;
  }
  return error;
}

function keep(answer, made, { path, limit }, answered, silence) {
  const stand = bodiless(answer);
  made.prependListener("error", ofTheBody); // the driver hears it next
  answered(stand);
  const promised = Number(answer.headers["content-length"] || 0);
  if (promised > limit) {
    answer.destroy();
    stand.destroy(new Error(`nightfleet: it has ${promised} bytes, and ${limit} are allowed`));
    return;
  }
  const decoder = DECODERS[(answer.headers["content-encoding"] || "").toLowerCase()];
  const stages = decoder ? [answer, decoder()] : [answer];
  pipeline(...stages, counted(limit), fs.createWriteStream(path, { flags: "wx" }), (error) => {
    if (!error) stand.push(null);
    else stand.destroy(silence() || ofTheBody(error));
  });
}

function keeping(module) {
  const request = module.request;
  module.request = function (url, options, answered) {
    const order = options && options.headers && options.headers[HEADER];
    if (!order) return request.apply(this, arguments);
    const wish = JSON.parse(order);
    const headers = { ...options.headers };
    delete headers[HEADER];
    if (wish.fields && new URL(url).origin === wish.origin) Object.assign(headers, wish.fields);
    let silent = null;
    const made = request.call(this, url, { ...options, headers }, (answer) =>
      answer.statusCode === 200 ? keep(answer, made, wish, answered, () => silent) : answered(answer),
    );
    return made.setTimeout(wish.patience * 1000, () => {
      silent = new Error(`nightfleet: nothing came for ${wish.patience} s`);
      made.destroy(silent);
    });
  };
}

keeping(http);
keeping(https);
