// Uploads DICOM files for de-identification.
//
// Usage: node upload.js HOST:PORT TARGET OUT FILE...
//
// DEIDCASCADE_KEY_FILE names the file with the API key and, for TLS, DEIDCASCADE_TLS_CA that
// with the authorities to trust. Prints a line of JSON for each file. Exit code 1: a file was
// rejected, or the upload was refused.
"use strict";

const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");
const { setTimeout: sleep } = require("node:timers/promises");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const CHUNK = 256 * 1024;

// What passes by itself: a service that restarts, or has no room. Sending again is safe.
const PASSING = new Set([
  grpc.status.UNAVAILABLE, grpc.status.CANCELLED, grpc.status.RESOURCE_EXHAUSTED,
]);
const PATIENCE = 60_000;
const FIRST_WAIT = 200;
const LONGEST_WAIT = 5_000;

const PROTOS = path.join(__dirname, "..", "..", "protos");
const { DeidService } = grpc.loadPackageDefinition(
  loader.loadSync("deidcascade/v1/deid_service.proto", {
    includeDirs: [PROTOS], keepCase: true, longs: String, enums: String, oneofs: true,
  }),
).deidcascade.v1;

// What is sent: the target, and then file after file, without waiting for answers.
async function* requests(target, files) {
  yield { open: { target } };
  for (const [number, file] of files.entries()) {
    const opened = await fs.promises.open(file);
    try {
      const { size } = await opened.stat();
      yield { file: { file_id: String(number), filename: path.basename(file), size } };
      for await (const chunk of opened.createReadStream({ highWaterMark: CHUNK, autoClose: false })) {
        yield { chunk };
      }
    } finally {
      await opened.close();
    }
    yield { file_end: {} };
  }
}

// Sends as fast as it is taken.
async function send(call, messages) {
  for await (const message of messages) {
    if (call.destroyed || call.cancelled) return;
    if (!call.write(message)) {
      await new Promise((resolve) => {
        call.once("drain", resolve);
        call.once("close", resolve);
        call.once("error", resolve);
      });
    }
  }
  call.end();
}

// Returns a path that is not taken.
function free(out, name) {
  const { name: stem, ext } = path.parse(name);
  let found = path.join(out, name);
  for (let number = 2; fs.existsSync(found); number++) found = path.join(out, `${stem}-${number}${ext}`);
  return found;
}

// Writes outputs, and gives what became of each file, in the order they were sent.
async function* receive(call, out) {
  const part = path.join(out, `.${process.pid}.part`);
  let name = "", hash = crypto.createHash("sha256"), output;
  try {
    for await (const answer of call) {
      if (answer.message === "file") {
        name = answer.file.suggested_filename;
        hash = crypto.createHash("sha256");
        output = fs.openSync(part, "w");
      } else if (answer.message === "chunk") {
        hash.update(answer.chunk);
        fs.writeSync(output, answer.chunk);
      } else if (answer.message === "result") {
        if (output !== undefined) fs.closeSync(output);
        output = undefined;
        const { file_id, receipt, rejection } = answer.result;
        if (receipt) {
          // Complete from here on: only now it gets its name.
          const sha256 = hash.digest("hex");
          if (sha256 !== receipt.sha256) throw new Error("What arrived is not what was sent.");
          const found = free(out, name || `${file_id}.dcm`);
          fs.renameSync(part, found);
          yield { output: path.basename(found), sha256 };
        } else {
          fs.rmSync(part, { force: true });
          yield { rejected: rejection.reason, message: rejection.message };
        }
      }
    }
  } finally {
    if (output !== undefined) fs.closeSync(output);
  }
}

// Sends files until each has a result; tells whether none was rejected.
async function upload(client, key, target, out, files) {
  const metadata = new grpc.Metadata();
  metadata.set("authorization", `Bearer ${key}`);
  let well = true, done = 0, wait = FIRST_WAIT, until = Date.now() + PATIENCE;
  while (done < files.length) {
    const call = client.Deidentify(metadata);
    const sending = send(call, requests(target, files.slice(done))).then(
      () => undefined,
      (error) => {
        call.cancel();
        return error;
      },
    );
    try {
      for await (const result of receive(call, out)) {
        console.log(JSON.stringify({ file: files[done], ...result }));
        well &&= !result.rejected;
        done += 1;
        wait = FIRST_WAIT;
        until = Date.now() + PATIENCE;
      }
    } catch (error) {
      // A file that cannot be read is the reason, where there was one.
      const unread = error.code === grpc.status.CANCELLED ? await sending : undefined;
      if (unread) throw unread;
      if (!PASSING.has(error.code) || Date.now() > until) throw error;
      // Spread, so that all callers of a service do not come back at once.
      await sleep(wait * (0.5 + Math.random() / 2));
      wait = Math.min(2 * wait, LONGEST_WAIT);
    }
  }
  return well;
}

async function main([address, target, out, ...files]) {
  const key = fs.readFileSync(process.env.DEIDCASCADE_KEY_FILE, "ascii").trim();
  const authorities = process.env.DEIDCASCADE_TLS_CA;
  fs.mkdirSync(out, { recursive: true });
  const client = new DeidService(
    address,
    authorities ? grpc.credentials.createSsl(fs.readFileSync(authorities)) : grpc.credentials.createInsecure(),
  );
  try {
    return (await upload(client, key, target, out, files)) ? 0 : 1;
  } catch (error) {
    console.error(error.details ? `${grpc.status[error.code]}: ${error.details}` : error.message);
    return 1;
  } finally {
    client.close();
  }
}

main(process.argv.slice(2)).then((code) => { process.exitCode = code; });
