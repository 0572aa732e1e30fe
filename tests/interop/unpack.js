// Unpacks and verifies passes with @pathcheck/dcc-sdk.
//
// node unpack.js MODULES TRUST.json PASS.txt…

"use strict";

const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");

const [modules, trust, ...files] = process.argv.slice(2);
const load = (name) => require(path.join(path.resolve(modules), name));
const sdk = load("@pathcheck/dcc-sdk");
const cbor = load("cbor");

const HEALTH = -260;
const HOLDER = -65537;

function publicKeys() {
  const keys = {};
  for (const jwk of JSON.parse(fs.readFileSync(trust, "utf8")).keys) {
    const key = crypto.createPublicKey({ key: jwk, format: "jwk" });
    const kid = Buffer.from(jwk.kid, "ascii").toString("base64");
    keys[kid] = key.export({ type: "spki", format: "der" }).toString("base64");
  }
  return keys;
}

async function check(file) {
  const text = fs.readFileSync(file, "utf8").trim();
  const message = await sdk.unpack(text);
  const claims = cbor.decode(cbor.decode(message).value[2]);
  if (claims.has(HEALTH)) {
    const certificate = await sdk.parseCWT(claims);
    if (certificate.ver !== "1.3.0") throw new Error(`${file}: no certificate in it`);
  } else if (!(claims.get(HOLDER) instanceof Map)) {
    throw new Error(`${file}: no holder in it`);
  }
  const verified = await sdk.unpackAndVerify(text);
  if (verified.status !== "verified") throw new Error(`${file}: ${verified.status}`);
  const changed = Buffer.from(message);
  changed[changed.length - 80] ^= 1;
  const refused = await sdk.verify(changed);
  if (refused.status === "verified") throw new Error(`${file}: a change went unnoticed`);
  console.log(`${path.basename(file)}: unpacked and verified by dcc-sdk; changed: ${refused.status}`);
}

async function main() {
  if (files.length === 0) throw new Error("give passes");
  // The library looks keys that it does not know up on the network; these it knows.
  sdk.addCachedKeys(publicKeys());
  for (const file of files) await check(file);
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
