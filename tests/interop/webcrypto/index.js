// WebCrypto of Node.js under the name of a package that newer Node.js does not need, and whose own dependencies
// no longer load beside dcc-sdk's module loader. That loader wraps what a module exports, which Node.js's own object
// does not bear, so its functions are handed out one by one.
"use strict";

const { subtle } = require("crypto").webcrypto;

module.exports = {
  subtle: {
    importKey: (...given) => subtle.importKey(...given),
    sign: (...given) => subtle.sign(...given),
    verify: (...given) => subtle.verify(...given),
  },
};
